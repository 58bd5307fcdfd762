"""What the programs' command lines share: readers whose own words reach the user when a value is wrong."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def reading(parse: Callable[[str], T]) -> Callable[[str], T]:
    """`parse` as a type for argparse, which would otherwise replace the text of its ValueError by a phrase."""

    def read(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def whole_number(minimum: int, maximum: int | None = None) -> Callable[[str], int]:
    """A type for argparse: an integer of at least `minimum` and at most `maximum`."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum or (maximum is not None and int(text) > maximum):
            bound = f"at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, {bound}")
        return int(text)

    return read
