"""How the plots of an arm are called, for those who draw them and those who show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def file_endings(arms: Iterable[str | None]) -> dict[str | None, str]:
    """What each arm's plots have at the end of their names: "-client-paused"; "" where there are no arms (None)."""
    endings: dict[str | None, str] = {}
    for arm in arms:
        ending = "" if arm is None else "-" + _for_a_file(arm)
        while ending in endings.values():
            ending += "_"
        endings[arm] = ending
    return endings


def _for_a_file(name: str) -> str:
    """`name` in characters that need no escape in a path or an address: rate=100/s → rate-100-per-s."""
    spelt = name.replace("/", "-per-").replace("%", "-percent").replace(",", "_")
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in spelt)
