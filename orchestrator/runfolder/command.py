"""The command line of a run as it is published: what repeats the run, and nothing of the author's disk."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Options whose values are paths; where results go is the author's choice, and no part of the run.
PATH_OPTIONS = ("--results", "--junit", "--output")


def without_paths(words: Sequence[str]) -> tuple[str, ...]:
    """The command line `words` with the last component in place of each path that leads out of the checkout.

    Values of path options are shortened whatever they are; a relative path to a scenario stays.
    """
    return tuple(_shortened(words))


def without_path_options(words: Sequence[str]) -> tuple[str, ...]:
    """The same without `PATH_OPTIONS` altogether."""
    kept: list[str] = []
    skipped = False
    for word in without_paths(words):
        if not skipped and word.partition("=")[0] not in PATH_OPTIONS:
            kept.append(word)
        skipped = not skipped and word in PATH_OPTIONS
    return tuple(kept)


def _shortened(words: Sequence[str]) -> Iterator[str]:
    asked = False
    for word in words:
        option, equals, value = word.partition("=")
        if not asked and equals and option in PATH_OPTIONS:
            yield f"{option}={_name(value)}"
        elif asked or (not word.startswith("-") and _leads_out(word)):
            yield _name(word)
        else:
            yield word
        asked = not asked and word in PATH_OPTIONS


def _leads_out(word: str) -> bool:
    path = PurePath(word)
    return path.is_absolute() or ".." in path.parts or word.startswith("~")


def _name(path: str) -> str:
    return PurePath(path).name or "."
