"""A stand-in for a kernel source tree, made of links, so that bcc compiles on hosts without kernel headers.

bcc asks for a kernel's build tree. Programs that use UAPI headers only need a few of its files, and the UAPI headers
are those of the C library's development packages (Debian: linux-libc-dev). Each compilation makes
its own tree, and removes it afterwards, and with it those of hedgers that were killed while they compiled.
"""

from __future__ import annotations

import fcntl
import os
import platform
import sysconfig
import time
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, gettempdir
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "hedgerow-kernel-"
_NEWBORN_S = 2.0  #: so long a tree may wait for its maker's lock
_USR_INCLUDE = Path("/usr/include")
_ARCHITECTURES = {"x86_64": "x86", "aarch64": "arm64"}

_KCONFIG_H = "#define CONFIG_BPF_SYSCALL 1\n"
_VERSION_H = """\
#ifndef LINUX_VERSION_CODE
#define LINUX_VERSION_CODE 0x050a00
#endif
#define KERNEL_VERSION(major, minor, patch) (((major) << 16) + ((minor) << 8) + (patch))
"""
_LOG2_H = "#define ilog2(n) (63 - __builtin_clzll((unsigned long long)(n)))\n"
_PAGE_H = "#define PAGE_SIZE 4096\n"
_TYPES_H = """\
#ifndef HEDGEROW_STUB_TYPES_H
#define HEDGEROW_STUB_TYPES_H
#include <uapi/linux/types.h>
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef __u8 uint8_t;
typedef __u16 uint16_t;
typedef __u32 uint32_t;
typedef __u64 uint64_t;
typedef __s8 int8_t;
typedef __s16 int16_t;
typedef __s32 int32_t;
typedef __s64 int64_t;
typedef unsigned long uintptr_t;
typedef __kernel_size_t size_t;
typedef __kernel_pid_t pid_t;
typedef _Bool bool;
enum { false = 0, true = 1 };
#endif
"""


class HeadersMissingError(Exception):
    """The UAPI headers are not installed; the message says what to install."""


def _asm_headers() -> Path:
    for directory in (_USR_INCLUDE / str(sysconfig.get_config_var("MULTIARCH")) / "asm", _USR_INCLUDE / "asm"):
        if (directory / "types.h").exists():
            return directory
    raise HeadersMissingError("the UAPI headers are not installed; install linux-libc-dev (Debian, Ubuntu)")


def _write_tree(root: Path) -> None:
    asm = _asm_headers()
    machine = platform.machine()
    arch = root / "arch" / _ARCHITECTURES.get(machine, machine)
    files = {
        root / "include/linux/kconfig.h": _KCONFIG_H,
        root / "include/linux/version.h": _VERSION_H,
        root / "include/linux/log2.h": _LOG2_H,
        root / "include/linux/types.h": _TYPES_H,
        arch / "include/asm/page.h": _PAGE_H,
        # bcc always brings its own bpf.h; the exported one has another include guard and would clash with it.
        root / "include/uapi/linux/bpf.h": "",
    }
    for empty in ("include/generated/uapi/linux", "arch/" + arch.name + "/include/generated/uapi"):
        (root / empty).mkdir(parents=True)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for header in (_USR_INCLUDE / "linux").iterdir():
        link = root / "include/uapi/linux" / header.name
        if not link.exists():
            link.symlink_to(header)
    (root / "include/uapi/asm-generic").symlink_to(_USR_INCLUDE / "asm-generic")
    (arch / "include/uapi").mkdir(parents=True)
    (arch / "include/uapi/asm").symlink_to(asm)


def _remove_dead_trees() -> None:
    """Of hedgers that were killed: a tree whose maker lives is locked."""
    for path in Path(gettempdir()).glob(f"{_PREFIX}*"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # no tree of ours, or gone
        try:
            age_s = time.time() - os.fstat(descriptor).st_mtime
            if age_s > _NEWBORN_S and os.fstat(descriptor).st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                rmtree(path, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)


@contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Says to others that this tree is in use; the kernel frees the lock of a process that is killed."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def stub_kernel_tree() -> Iterator[Path]:
    """Points bcc at the stand-in tree while the context lasts; HeadersMissingError where it cannot be made."""
    before = os.environ.get("BCC_KERNEL_SOURCE")
    _remove_dead_trees()
    with TemporaryDirectory(prefix=_PREFIX) as directory, _locked(directory):
        _write_tree(Path(directory))
        os.environ["BCC_KERNEL_SOURCE"] = directory
        try:
            yield Path(directory)
        finally:
            if before is None:
                del os.environ["BCC_KERNEL_SOURCE"]
            else:
                os.environ["BCC_KERNEL_SOURCE"] = before
