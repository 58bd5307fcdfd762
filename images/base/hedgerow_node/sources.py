"""A digest of a program's own sources, by which the orchestrator sees that an image holds what the checkout holds.

Without it a container of last week's image would be measured under this week's name.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]
_SUFFIXES = (".py", ".c", ".h")


@cache
def digest(role: str) -> str:
    """The digest of what the program of `role` ("server", "client" or "hedger") is made of, 16 hex digits."""
    folders = ["images/base", f"images/{role}", *(["bpf"] if role == "hedger" else [])]
    sums = hashlib.sha256()
    for folder in folders:
        for path in sorted((_ROOT / folder).rglob("*")):
            if path.suffix in _SUFFIXES:
                sums.update(f"{path.relative_to(_ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return sums.hexdigest()[:16]
