"""A digest of a program's own sources, by which the orchestrator sees that an image holds what is installed here.

Without it a container of last week's image would be measured under this week's name.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_SUFFIXES = (".py", ".c", ".h")


@cache
def digest(role: str) -> str:
    """The digest of what the program of `role` ("server", "client" or "hedger") is made of, 16 hex digits."""
    sums = hashlib.sha256()
    for package in ("hedgerow_node", f"hedgerow_{role}"):
        folder = _folder(package)
        for path in sorted([*folder.rglob("*"), *(folder / "bpf").glob("*")]):
            if path.suffix in _SUFFIXES:
                sums.update(f"{path.relative_to(folder.parent)}\0".encode() + path.read_bytes() + b"\0")
    return sums.hexdigest()[:16]


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"there is no package {package}")
    return Path(spec.origin).parent
