"""Stock Debian kernels and an emulator to boot them with, fetched into a cache of the project.

Nothing is installed on the host. Which packages serve is a matter of knowledge rather than of taste: QEMU before 10
corrupts guests of Linux 6.12 and later when it emulates them, so Debian 12 takes it from its backports; virtiofsd is
part of Debian 12's qemu-system-common 7.2 and a package of its own since Debian 13.
"""

from __future__ import annotations

import fcntl
import platform
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.host.archive import Archive

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "kernels"

KERNELS = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie"}
"""Kernel series → the Debian suite that ships it."""


class NotPossibleHereError(Exception):
    """This host is none the virtual machines are made for; the message says what it would take."""


@dataclass(frozen=True)
class HostRecipe:
    """Where a Debian release gets the parts of an emulator from."""

    qemu_suite: str
    virtiofsd_package: str
    virtiofsd_program: str


_HOSTS = {
    "bookworm": HostRecipe("bookworm-backports", "qemu-system-common/bookworm", "usr/lib/qemu/virtiofsd"),
    "trixie": HostRecipe("trixie", "virtiofsd/trixie", "usr/libexec/virtiofsd"),
}


@dataclass(frozen=True)
class Toolbox:
    """Folders of the cache, each the unpacked tree of some packages."""

    qemu: Path
    virtiofsd: Path
    busybox: Path
    kernels: dict[str, Path]
    virtiofsd_program: str


def host_suite() -> str:
    """The Debian release of this host.

    Raises:
        NotPossibleHereError: it is not Debian 12 or 13 on amd64.
    """
    release = platform.freedesktop_os_release()
    suite = release.get("VERSION_CODENAME", "")
    if release.get("ID") != "debian" or suite not in _HOSTS or platform.machine() != "x86_64":
        raise NotPossibleHereError(
            f"virtual machines need a Debian 12 or 13 host on amd64; this is {release.get('PRETTY_NAME', 'unknown')} "
            f"on {platform.machine()}"
        )
    return suite


def fetch() -> Toolbox:
    """Everything needed to boot every kernel of KERNELS, downloading what the cache lacks (about 150 MB, once).

    Raises:
        NotPossibleHereError: see `host_suite`.
        ArchiveError: the archive did not deliver.
    """
    suite = host_suite()
    recipe = _HOSTS[suite]
    folder = CACHE / suite
    folder.mkdir(parents=True, exist_ok=True)
    toolbox = Toolbox(
        qemu=folder / "qemu",
        virtiofsd=folder / "virtiofsd",
        busybox=folder / "busybox",
        kernels={series: folder / f"linux-{series}" for series in KERNELS},
        virtiofsd_program=recipe.virtiofsd_program,
    )
    with _lock(folder / "lock"):
        trees = (toolbox.qemu, toolbox.virtiofsd, toolbox.busybox, *toolbox.kernels.values())
        if not all(tree.is_dir() for tree in trees):
            for unfinished in folder.glob(".*"):  # of a fetch that was interrupted
                shutil.rmtree(unfinished)
            lists = folder / "apt"
            _download(toolbox, recipe, Archive(lists, suite, [recipe.qemu_suite, *KERNELS.values()]))
            shutil.rmtree(lists)
    return toolbox


def _download(toolbox: Toolbox, recipe: HostRecipe, archive: Archive) -> None:
    if not toolbox.qemu.is_dir():
        parts = ("qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios")
        archive.unpack(archive.missing_for(f"{part}/{recipe.qemu_suite}" for part in parts), toolbox.qemu)
    if not toolbox.virtiofsd.is_dir():
        archive.unpack([recipe.virtiofsd_package], toolbox.virtiofsd)
    if not toolbox.busybox.is_dir():
        archive.unpack(["busybox-static"], toolbox.busybox)
    for series, suite in KERNELS.items():
        if not toolbox.kernels[series].is_dir():
            newest = archive.dependencies(f"linux-image-cloud-amd64/{suite}")
            images = [f"{name}/{suite}" for name in newest if name.startswith(f"linux-image-{series}.")]
            archive.unpack(images, toolbox.kernels[series])


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Two runs at once fetch once: the second waits here and then finds everything there."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
