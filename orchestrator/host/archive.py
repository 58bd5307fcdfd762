"""The machine's own Debian archive, seen through a private apt.

What is unpacked comes from the archive this machine already uses and trusts: its address, proxies and keys are
asked of the machine's apt and written nowhere in this project. Lists and state are kept apart, other suites
can be read beside the machine's own, nothing is installed, and apt checks every file against the archive's signature.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_INSTALLED = Path("/var/lib/dpkg/status")

# What the machine says about how to fetch (proxies, certificates, retries, clock), but not what it fetches.
_INHERITED = re.compile(r"^Acquire::(?!IndexTargets|Languages|Changelogs)\S+ ")


class ArchiveError(Exception):
    """A package could not be had; the message holds apt's own words."""


class Archive:
    """Packages of several suites of one release family, downloaded and unpacked without installing."""

    def __init__(self, folder: Path, home_suite: str, suites: Sequence[str]) -> None:
        """Writes the private configuration under `folder` and reads the lists of `home_suite` and `suites`.

        Dependencies are chosen from `home_suite`, the machine's own, unless a package's suite is named.

        Raises:
            ArchiveError: no Debian archive among the machine's sources, or its lists cannot be read.
        """
        for part in ("etc/apt.conf.d", "etc/preferences.d", "lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        site = _debian_site(home_suite)
        lines = [f"deb [signed-by={KEYRING}] {site} {suite} main" for suite in dict.fromkeys([home_suite, *suites])]
        (folder / "etc/sources.list").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / "apt.conf").write_text(_configuration(folder, home_suite), encoding="utf-8")
        self._folder = folder
        self._environment = {**os.environ, "APT_CONFIG": str(folder / "apt.conf"), "LC_ALL": "C.UTF-8"}
        self._run("apt-get", "-qq", "update", "--error-on=any")

    def dependencies(self, package: str) -> list[str]:
        """Names of what `package` (`name/suite`) depends on, the first of each group of alternatives."""
        shown = self._run("apt-cache", "show", "--no-all-versions", package)
        field = re.search(r"^Depends: (.*)$", shown, re.MULTILINE)
        return [re.split(r"[ (|:]", part.strip())[0] for part in field[1].split(",")] if field else []

    def missing_for(self, packages: Iterable[str]) -> list[str]:
        """`packages` (`name/suite`) and whatever they need that is not installed on this machine."""
        named = {package.split("/")[0]: package for package in packages}
        plan = self._run("apt-get", "install", "--simulate", "--no-install-recommends", *named.values())
        needed = re.findall(r"^Inst (\S+)", plan, re.MULTILINE)
        return [*named.values(), *(name for name in needed if name not in named)]

    def unpack(self, packages: Sequence[str], destination: Path) -> None:
        """Downloads `packages` and unpacks them together in `destination`, which appears complete or not at all.

        Raises:
            ArchiveError: a download or its checksum failed.
        """
        with tempfile.TemporaryDirectory(prefix=f".{destination.name}-", dir=destination.parent) as work:
            debs, tree = Path(work, "debs"), Path(work, "tree")
            debs.mkdir()
            tree.mkdir()
            self._run("apt-get", "-qq", "download", *packages, cwd=debs)
            for deb in sorted(debs.glob("*.deb")):
                self._run("dpkg-deb", "--extract", str(deb), str(tree))
            tree.rename(destination)

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        return _run(command, self._environment, cwd)


def _configuration(folder: Path, home_suite: str) -> str:
    inherited = [line for line in _run(["apt-config", "dump"], os.environ).splitlines() if _INHERITED.match(line)]
    own = {
        "Dir::Etc": folder / "etc",
        "Dir::Etc::Netrc": "/etc/apt/auth.conf",
        "Dir::Etc::NetrcParts": "/etc/apt/auth.conf.d",
        "Dir::State": folder,
        "Dir::State::Lists": folder / "lists",
        "Dir::State::Status": _INSTALLED,
        "Dir::Cache": folder / "cache",
        "APT::Default-Release": home_suite,
        "APT::Sandbox::User": "root",  # apt's own user cannot write into a folder of ours
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    return "\n".join([*inherited, *(f'{key} "{value}";' for key, value in own.items())]) + "\n"


def _debian_site(suite: str) -> str:
    """The address this machine gets `suite` from, whatever it is."""
    listing = _run(
        ["apt-get", "indextargets", "--no-release-info", "--format", "$(RELEASE) $(COMPONENT) $(SITE)"], os.environ
    )
    for line in listing.splitlines():
        release, component, site = line.split(maxsplit=2)
        if component == "main" and release in (suite, "stable", "oldstable"):
            return site
    raise ArchiveError(f"no Debian archive with {suite}/main among this machine's apt sources")


def _run(command: Sequence[str], environment: Mapping[str, str], cwd: Path | None = None) -> str:
    done = subprocess.run(
        command, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ArchiveError(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout
