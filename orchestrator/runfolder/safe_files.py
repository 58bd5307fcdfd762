"""Files of folders that others made: nothing is read or written through a link, or outside the folder.

A run folder may come from anybody, and root may be the one who analyses it. So a file is written beside the one that
it replaces and renamed over it, which replaces a link instead of following it; and a folder that holds anything but
files and folders of its own is refused as a whole.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from orchestrator.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new path beside `path`: what is written there takes the place of `path` on leaving, whatever that was.

    The file belongs to the owner of the folder, where root wrote it. After an error `path` is what it was.
    """
    beside = path.with_name(f".{secrets.token_hex(8)}-{path.name}")
    try:
        yield beside
        chown_like(beside, path.parent)
        beside.replace(path)
    except OSError as error:
        error.filename = str(path)  # writing to a full disk names no file
        error.filename2 = None
        raise
    finally:
        with suppress(OSError):
            beside.unlink()


def replace_text(path: Path, text: str) -> None:
    """Write `text` in UTF-8 in place of the file at `path`; what UTF-8 cannot hold becomes a question mark."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", errors="replace")


def check_entries(folder: Path) -> None:
    """RunError where the run folder `folder` holds anything but files and folders: a link, a pipe, a device."""
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(place, name)  # noqa: PTH118 (of thousands of files)
            kind = _kind(path)
            if kind:
                raise RunError(
                    f"{path} is {kind}, and a run folder holds only files and folders of its own",
                    "a copy without links can be read: cp -rL",
                )


def _kind(path: str) -> str:
    """What the entry at `path` is, where it is neither a file nor a folder."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return ""  # a run that is at work has renamed it
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return ""
    return "a link" if stat.S_ISLNK(mode) else "a pipe or a device"


def chown_like(path: Path, model: Path) -> None:
    """Give `path`, where root made it, to the owner of `model`."""
    if os.geteuid() == 0:
        owner = model.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
