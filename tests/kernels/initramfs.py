"""The small first file system of a guest: busybox, the modules it needs, and the scripts that enter the host's tree.

Modules are loaded here and in dependency order because the guest has none of its own to find later: its root is the
host's, whose /lib/modules belongs to another kernel.
"""

from __future__ import annotations

import lzma
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MODULES = (
    # the machine: its file systems and its console
    *("virtio_pci", "virtio_console", "fuse", "virtiofs", "overlay"),
    # what topologies are made of
    *("veth", "bridge", "8021q", "dummy"),
    # the delay lines, and the hooks programs are attached to
    *("sch_ingress", "sch_prio", "sch_netem", "sch_fq", "sch_htb", "sch_fq_codel", "cls_bpf", "act_bpf"),
)


class InitramfsError(Exception):
    """A kernel's package lacks what a guest needs."""


def build(kernel: Path, busybox: Path, scripts: Mapping[str, str]) -> bytes:
    """An initramfs (cpio, newc) for the unpacked kernel package `kernel`.

    Args:
        kernel: tree with `lib/modules/<release>/`, merged into /usr or not.
        busybox: a statically linked busybox.
        scripts: executable files by their name in the root folder; `init` is what the kernel starts.

    Raises:
        InitramfsError: a module is neither in the package nor built into the kernel.
    """
    archive = _Cpio()
    for folder in ("bin", "dev", "proc", "sys", "host", "out", "overlay", "root", "modules"):
        archive.add(folder, stat.S_IFDIR | 0o755)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add("dev/null", stat.S_IFCHR | 0o666, device=(1, 3))
    archive.add("bin/busybox", stat.S_IFREG | 0o755, busybox.read_bytes())
    for number, (name, body) in enumerate(_with_dependencies(kernel, MODULES)):
        archive.add(f"modules/{number:03d}-{name}.ko", stat.S_IFREG | 0o644, body)
    for name, text in scripts.items():
        archive.add(name, stat.S_IFREG | 0o755, text.encode())
    return archive.finish()


def _with_dependencies(kernel: Path, wanted: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Modules in an order in which each finds what it depends on already loaded."""
    files = {_plain(path.name.split(".ko")[0]): path for path in kernel.rglob("*.ko*")}
    built_in = {
        _plain(Path(line).stem) for listing in kernel.rglob("modules.builtin") for line in listing.read_text().split()
    }
    done: set[str] = set()

    def visit(name: str) -> Iterator[tuple[str, bytes]]:
        if name in done or name in built_in:
            return
        if name not in files:
            raise InitramfsError(f"{kernel.name} has no module {name}")
        done.add(name)
        body = files[name].read_bytes()
        if files[name].suffix == ".xz":
            body = lzma.decompress(body)
        listed = re.search(rb"\0depends=([^\0]*)\0", body)
        for dependency in listed[1].decode().split(",") if listed and listed[1] else ():
            yield from visit(_plain(dependency))
        yield name, body

    for name in wanted:
        yield from visit(_plain(name))


def _plain(name: str) -> str:
    """Modules are listed with hyphens and underscores alike; the kernel takes them for the same."""
    return name.replace("-", "_")


class _Cpio:
    """Writer of the newc format, the one archive format the kernel unpacks."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._entries = 0

    def add(self, name: str, mode: int, body: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self._entries += 1
        encoded = name.encode() + b"\0"
        owner, links, time, no_checksum = (0, 0), 1, 0, 0
        fields = (self._entries, mode, *owner, links, time, len(body), 0, 0, *device, len(encoded), no_checksum)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        for part in (header + encoded, body):
            self._parts += [part, b"\0" * (-len(part) % 4)]

    def finish(self) -> bytes:
        self.add("TRAILER!!!", 0)
        return b"".join(self._parts)
