"""manifest.json: what was run, where, with which versions, and how it ended.

docs/run-folder.md describes the keys.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.errors import RunError
from orchestrator.runfolder.codec import LEFT_OUT, JsonObject, MismatchError, decode, encode_object
from orchestrator.runfolder.format_versions import FORMAT_VERSIONS, read_json
from orchestrator.runfolder.observed import (  # noqa: TC001 (the codec evaluates annotations)
    Activity,
    ActivityDifferences,
    Counters,
    GitState,
    NoiseProbe,
)
from orchestrator.runfolder.safe_files import replace_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Environment:
    """The host and the client's interface before and after the blocks; a run that did not end has no `after`."""

    before: Activity | None = None
    after: Activity | None = None
    differences: ActivityDifferences | None = None


@dataclass(frozen=True)
class ArmEngine:
    """How the kernel hedged in one arm; names are joined by "+" where strategies differ."""

    name: str
    engine: str
    delay_line: str


@dataclass(frozen=True)
class StatedClaim:
    """A claim as it was stated before the run; `arm` is None where there are no arms, or where it is across them."""

    arm: str | None
    id: str
    text: str
    expect: str


@dataclass(frozen=True, kw_only=True)
class BlockEntry:
    """A block that was run: its place in the plan, which attempt it was, and what client and servers reported.

    `start_ns` is its first measured send, CLOCK_MONOTONIC; `hedges` how many rows it left in hedges.parquet.
    `steal_ms` and `cpu_pressure_us` are what other work took from all CPUs meanwhile. `clock_set_ns` is by how much
    CLOCK_REALTIME was set meanwhile, where it was: then no sample has a `kernel_rx_ns`. `engine` and `delay_line` are
    what the hedger was set to, also where it only watched.
    """

    order: int
    arm: str | None
    strategy: str
    block: int
    serial: int
    attempt: int
    start_ns: int
    client: JsonObject
    servers: tuple[JsonObject, ...]
    hedges: int | None = field(default=None, metadata=LEFT_OUT)
    steal_ms: int | None = field(default=None, metadata=LEFT_OUT)
    cpu_pressure_us: int | None = field(default=None, metadata=LEFT_OUT)
    clock_set_ns: int | None = field(default=None, metadata=LEFT_OUT)
    engine: str | None = field(default=None, metadata=LEFT_OUT)
    delay_line: str | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class DiscardedEntry:
    """An attempt at a block that enters no figure, and why."""

    order: int
    arm: str | None
    strategy: str
    block: int
    serial: int
    attempt: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class DelayLineStatistics:
    """`tc -s` of the delay line as it was made for `arm` and `engine`, before and after it was used."""

    arm: str | None
    engine: str | None = field(default=None, metadata=LEFT_OUT)
    before: str | None = field(default=None, metadata=LEFT_OUT)
    after: str | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One run, as far as anything was recorded of it: a run that was killed has recorded less.

    Facts about host, versions, engine and images stay as they were found: another version may find others.
    `counters` are the kernel's, by strategy (`strategy@arm` with arms), added up over blocks. `engine` and
    `delay_line` are joined by "+" where blocks differ. `scenario_sha256` (of scenario.yaml) and `claims` are what was
    fixed before the run; None for earlier versions, which did not record it.
    """

    run: str = ""
    scenario: str = ""
    backend: str | None = None
    engine: str | None = None
    delay_line: str | None = None
    status: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    seeds: JsonObject | None = None
    scenario_sha256: str | None = field(default=None, metadata=LEFT_OUT)
    claims: tuple[StatedClaim, ...] | None = field(default=None, metadata=LEFT_OUT)
    host: JsonObject = field(default_factory=dict)
    versions: JsonObject = field(default_factory=dict)
    git: GitState | None = None
    command: tuple[str, ...] = ()
    container_engine: JsonObject | None = None
    noise: NoiseProbe | None = None
    environment: Environment = field(default_factory=Environment)
    arms: tuple[ArmEngine, ...] = ()
    counters: dict[str, Counters] = field(default_factory=dict)
    blocks: tuple[BlockEntry, ...] = ()
    discarded: tuple[DiscardedEntry, ...] = ()
    topology_up_s: float | None = field(default=None, metadata=LEFT_OUT)
    images: JsonObject | None = field(default=None, metadata=LEFT_OUT)
    delay_line_statistics: tuple[DelayLineStatistics, ...] | None = field(default=None, metadata=LEFT_OUT)
    topology_down_s: float | None = field(default=None, metadata=LEFT_OUT)

    def with_engine(self, arm: str | None, engine: str, delay_line: str) -> Manifest:
        """With how requests of an arm are hedged; `engine` and `delay_line` name each that there was."""
        arms = {known.name: known for known in self.arms}
        if arm is not None:
            known = arms.get(arm, ArmEngine(arm, engine, delay_line))
            arms[arm] = ArmEngine(arm, _joined(known.engine, engine), _joined(known.delay_line, delay_line))
        joined = _joined(self.engine, engine), _joined(self.delay_line, delay_line)
        return replace(self, arms=tuple(arms.values()), engine=joined[0], delay_line=joined[1])

    def engine_of(self, arm: str | None, strategy: str) -> tuple[str | None, str | None]:
        """Engine and delay line in the blocks of a strategy in an arm; None where it was not recorded."""
        engine, delay_line = None, None
        for block in self.blocks:
            if (block.arm, block.strategy) == (arm, strategy) and block.engine and block.delay_line:
                engine, delay_line = _joined(engine, block.engine), _joined(delay_line, block.delay_line)
        return engine, delay_line

    def with_block(self, entry: BlockEntry, counters: Mapping[str, int]) -> Manifest:
        """With a block that was run; its counters are added to those of its strategy."""
        name = entry.strategy if entry.arm is None else f"{entry.strategy}@{entry.arm}"
        totals = dict(self.counters.get(name, {}))
        for counter, value in counters.items():
            totals[counter] = totals.get(counter, 0) + value
        return replace(self, blocks=(*self.blocks, entry), counters={**self.counters, name: totals})

    def as_text(self) -> str:
        """The text of manifest.json."""
        content = {"schema": FORMAT_VERSIONS["manifest.json"], **encode_object(self)}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    def write(self, path: Path) -> None:
        """Write another file and put it in this one's place at once, so that there is a whole one at any moment."""
        replace_text(path, self.as_text())

    @classmethod
    def read(cls, path: Path, remedy: str = "is this the folder of a run?") -> Manifest:
        """The manifest in the file at `path`; RunError, with `remedy`, where this version cannot read it."""
        content = read_json(path, remedy)
        try:
            return decode(cls, content)
        except MismatchError as error:
            raise RunError(f"{path} cannot be read: {error}", remedy) from error


class ManifestFile:
    """The manifest of a run that goes on: written when it begins, and again whenever something is to be kept."""

    def __init__(self, path: Path, content: Manifest) -> None:
        self._path = path
        self.write(content)

    def keep(self, content: Manifest) -> None:
        """Have `content` written with what comes next."""
        self.content = content

    def write(self, content: Manifest) -> None:
        """Keep `content` and write it."""
        self.keep(content)
        content.write(self._path)


def _joined(known: str | None, name: str) -> str:
    """The names of both, each once, in alphabetical order: that of the blocks is random."""
    names = known.split("+") if known else []
    return "+".join(sorted({*names, name}))
