"""Comparisons as other languages spell them, and how conditions and claims do."""

from __future__ import annotations

_MEANT = {"=>": ">=", "=<": "<=", "=": "=="}


def meant(text: str) -> str:
    """The remedy where `text` begins with a comparison of another language: "write >=" for "=> 2%"; else nothing."""
    return next((f"write {ours}" for theirs, ours in _MEANT.items() if text.startswith(theirs)), "")
