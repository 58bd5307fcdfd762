"""The programs that the bench measures with: the distribution's packages, unpacked into a cache, never installed.

Installing a server's package starts its daemon on the user's host; unpacking starts nothing.
"""

from __future__ import annotations

import fcntl
import platform
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import PrerequisiteError
from orchestrator.host.archive import Archive, ArchiveError
from orchestrator.topology.images import ROOT

if TYPE_CHECKING:
    from pathlib import Path

CACHE = ROOT / ".cache" / "services"
PACKAGES = ("nsd", "dnsperf")
_LEAVE_IT_OUT = "leave out the parts that need nsd and dnsperf"


@dataclass(frozen=True)
class Services:
    """The unpacked tree of the packages."""

    tree: Path

    @property
    def nsd(self) -> tuple[str, ...]:
        """The command that starts nsd."""
        return self._command("usr/sbin/nsd")

    @property
    def dnsperf(self) -> tuple[str, ...]:
        """The command that starts dnsperf."""
        return self._command("usr/bin/dnsperf")

    def _command(self, program: str) -> tuple[str, ...]:
        libraries = ":".join(str(path) for path in sorted(self.tree.glob("usr/lib/*-linux-gnu*")))
        return ("env", f"LD_LIBRARY_PATH={libraries}", str(self.tree / program))


def fetch(cache: Path = CACHE) -> Services:
    """The programs, downloaded (about 2 MB) where the cache lacks them; two that ask at once download once.

    Raises PrerequisiteError where this is not a checkout, or the host's archive does not have them.
    """
    if not (ROOT / "pyproject.toml").exists():
        raise PrerequisiteError("nsd and dnsperf are unpacked into a checkout, and this is none", _LEAVE_IT_OUT)
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "unknown")
    tree = cache / f"{suite}-{platform.machine()}"
    if not tree.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not tree.is_dir():
                _download(suite, tree)
    return Services(tree)


def _download(suite: str, tree: Path) -> None:
    for unfinished in tree.parent.glob(".*"):  # of a download that was interrupted
        shutil.rmtree(unfinished)
    lists = tree.parent / "apt"
    try:
        archive = Archive(lists, suite, [])
        archive.unpack(archive.missing_for(f"{name}/{suite}" for name in PACKAGES), tree)
    except (ArchiveError, OSError) as error:
        raise PrerequisiteError(f"nsd and dnsperf cannot be had: {error}", _LEAVE_IT_OUT) from error
    finally:
        shutil.rmtree(lists, ignore_errors=True)
