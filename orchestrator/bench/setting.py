"""What every part of the bench gets: the stage, the programs, the engines to measure, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.bench.extent import Extent
    from orchestrator.bench.services import Services
    from orchestrator.bench.stage import Stage

BARE = "bare"


@dataclass(frozen=True)
class Setting:
    """Where, with what and how much is measured; `say` shows progress."""

    stage: Stage
    services: Services
    engines: tuple[str, ...]
    extent: Extent
    say: Callable[[str], None]


def interleaved(conditions: tuple[str, ...], rounds: int) -> Iterator[tuple[int, str]]:
    """Every condition once a round, beginning with another one each time: (round, condition)."""
    for number in range(rounds):
        first = number % len(conditions)
        for condition in conditions[first:] + conditions[:first]:
            yield number, condition
