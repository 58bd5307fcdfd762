"""The progress of a run: a bar on a terminal, plain lines elsewhere; on stderr, never on stdout."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from orchestrator.plan.eta import format_rough_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.plan.blocks import Block


class Watcher(Protocol):
    """Shows what a run does."""

    def say(self, text: str) -> None:
        """A message about the run."""

    def begin(self, block: Block) -> None:
        """A block starts."""

    def end(self, text: str) -> None:
        """That block is done; `text` summarises it."""

    def close(self) -> None:
        """The run is over."""


class _Remaining:
    """The expected rest of the run: the plan's estimate, scaled by how long the blocks so far took."""

    def __init__(self, etas_ns: Sequence[int]) -> None:
        self._etas_ns = etas_ns
        self._done = 0
        self._started_ns: int | None = None

    def block_begun(self) -> None:
        if self._started_ns is None:
            self._started_ns = time.monotonic_ns()

    def block_done(self) -> None:
        self._done += 1

    def text(self) -> str:
        planned_ns = sum(self._etas_ns[: self._done])
        scale = 1.0
        if planned_ns and self._started_ns is not None:
            scale = (time.monotonic_ns() - self._started_ns) / planned_ns
        return format_rough_duration(round(scale * sum(self._etas_ns[self._done :])))


class PlainLines:
    """One line per block."""

    def __init__(self, etas_ns: Sequence[int]) -> None:
        self._total = len(etas_ns)
        self._title = ""
        self._remaining = _Remaining(etas_ns)

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def begin(self, block: Block) -> None:
        self._remaining.block_begun()
        self._title = f"[{block.order + 1}/{self._total}] {_name(block)}"

    def end(self, text: str) -> None:
        self._remaining.block_done()
        self.say(f"{self._title}: {text}; {self._remaining.text()} left")

    def close(self) -> None:
        """Nothing is open."""


class _Left(ProgressColumn):
    def __init__(self, remaining: _Remaining) -> None:
        super().__init__()
        self._remaining = remaining

    def render(self, task: Task) -> Text:
        return Text("" if task.finished else f"{self._remaining.text()} left", style="progress.remaining")


class Bar:
    """A progress bar with the strategy at work and the time left."""

    def __init__(self, etas_ns: Sequence[int]) -> None:
        self._remaining = _Remaining(etas_ns)
        self._progress = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Left(self._remaining),
            console=Console(stderr=True),
            # A refreshing thread would wake up in the middle of what is measured; a block's end is often enough.
            auto_refresh=False,
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=len(etas_ns))
        self._progress.start()

    def say(self, text: str) -> None:
        self._progress.console.print(text, highlight=False, markup=False)

    def begin(self, block: Block) -> None:
        self._remaining.block_begun()
        self._progress.update(self._task, description=_name(block), refresh=True)

    def end(self, text: str) -> None:
        self._remaining.block_done()
        self._progress.update(self._task, description=text, advance=1, refresh=True)

    def close(self) -> None:
        self._progress.stop()


def _name(block: Block) -> str:
    """The arm and strategy of a block."""
    return block.strategy if block.arm is None else f"{block.arm} {block.strategy}"


def watcher(etas_ns: Sequence[int]) -> Watcher:
    """A bar where stderr is a terminal, plain lines elsewhere; `etas_ns` are the blocks' expected durations."""
    return Bar(etas_ns) if sys.stderr.isatty() else PlainLines(etas_ns)
