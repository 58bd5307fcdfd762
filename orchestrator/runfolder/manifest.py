"""manifest.json: what was run, where, with which versions, and how it ended.

docs/run-folder-keys.md is made from the types and the comments `#:` of their fields.
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
    """The host and the client's interface around the blocks; a run that did not end has no `after`."""

    before: Activity | None = None  #: before the first block
    after: Activity | None = None  #: after the last one; null where the run did not get there
    differences: ActivityDifferences | None = None  #: counters by how much, settings by both values


@dataclass(frozen=True)
class ArmEngine:
    """How the kernel hedged in one arm; names are joined by "+" where strategies differ."""

    name: str  #: the arm's
    engine: str
    delay_line: str


@dataclass(frozen=True)
class StatedClaim:
    """A claim as it was stated before the run."""

    arm: str | None  #: null where there are no arms, or the claim is across them
    id: str
    text: str
    expect: str


@dataclass(frozen=True, kw_only=True)
class BlockEntry:
    """A block that was run: its place in the plan, which attempt it was, and what client and servers reported."""

    order: int  #: its place in the plan
    arm: str | None
    strategy: str
    block: int  #: the round, from 0
    serial: int  #: counts the attempts at all blocks
    attempt: int  #: counts the attempts at this block
    start_ns: int  #: its first measured send
    client: JsonObject  #: what the client reported
    servers: tuple[JsonObject, ...]  #: what each server reported
    hedges: int | None = field(default=None, metadata=LEFT_OUT)  #: its rows in hedges.parquet
    #: What the hypervisor took from all CPUs while the client worked.
    steal_ms: int | None = field(default=None, metadata=LEFT_OUT)
    #: How long meanwhile some task waited for a CPU (PSI, some).
    cpu_pressure_us: int | None = field(default=None, metadata=LEFT_OUT)
    #: By how much CLOCK_REALTIME was set meanwhile, if it was; `kernel_rx_ns` is then null in all of its samples.
    clock_set_ns: int | None = field(default=None, metadata=LEFT_OUT)
    #: What the hedger was set to, also where it only watched.
    engine: str | None = field(default=None, metadata=LEFT_OUT)
    delay_line: str | None = field(default=None, metadata=LEFT_OUT)  #: as `engine`


@dataclass(frozen=True, kw_only=True)
class DiscardedEntry:
    """An attempt at a block that enters no figure, and why."""

    order: int  #: the block's place in the plan
    arm: str | None
    strategy: str
    block: int  #: the round, from 0
    serial: int  #: counts the attempts at all blocks
    attempt: int  #: counts the attempts at this block
    reasons: tuple[str, ...]  #: in words


@dataclass(frozen=True)
class DelayLineStatistics:
    """What `tc -s` said of the delay line as it was made for `arm` and `engine`."""

    arm: str | None
    engine: str | None = field(default=None, metadata=LEFT_OUT)
    before: str | None = field(default=None, metadata=LEFT_OUT)  #: `tc -s` before it was used
    after: str | None = field(default=None, metadata=LEFT_OUT)  #: and after


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One run, as far as anything was recorded of it: a run that was killed has recorded less.

    Facts about host, versions, engine and images stay as they were found: another version may find others.
    `scenario_sha256` and `claims` are None for earlier versions, which did not record them.
    """

    run: str = ""  #: the folder's name
    scenario: str = ""  #: its name
    backend: str | None = None  #: `docker` or `netns`
    engine: str | None = None  #: how the kernel hedged; names are joined by `+` where blocks differ
    delay_line: str | None = None  #: what held hedges back until they were due; joined as `engine`
    status: str | None = None  #: `unfinished`, `complete`, `interrupted` or `failed: …`
    started_at: str | None = None
    finished_at: str | None = None
    seeds: JsonObject | None = None  #: `workload` and `design`
    #: Of scenario.yaml, as fixed before the run.
    scenario_sha256: str | None = field(default=None, metadata=LEFT_OUT)
    claims: tuple[StatedClaim, ...] | None = field(default=None, metadata=LEFT_OUT)  #: as stated before the run
    #: Machine, CPUs and their power settings, kernel and boot flags, clock sources, hypervisor, control groups;
    #: nothing that identifies the machine.
    host: JsonObject = field(default_factory=dict)
    versions: JsonObject = field(default_factory=dict)  #: of Python and of what took part
    git: GitState | None = None  #: the checkout that the code ran from
    command: tuple[str, ...] = ()  #: the command line
    container_engine: JsonObject | None = None  #: the engine's parts; docker only
    noise: NoiseProbe | None = None  #: the host before the run
    environment: Environment = field(default_factory=Environment)  #: host and client's interface around the blocks
    arms: tuple[ArmEngine, ...] = ()  #: how the kernel hedged in each
    #: The kernel's (bpf/counters.h says what each counts), summed over blocks;
    counters: dict[str, Counters] = field(default_factory=dict)  #: by strategy, or `strategy@arm`
    blocks: tuple[BlockEntry, ...] = ()  #: in running order
    discarded: tuple[DiscardedEntry, ...] = ()  #: attempts at blocks that enter no figure
    topology_up_s: float | None = field(default=None, metadata=LEFT_OUT)  #: how long the nodes took to start
    #: Each image's `id`, `base` and `packages`; docker only.
    images: JsonObject | None = field(default=None, metadata=LEFT_OUT)
    #: For each setting of the hedger.
    delay_line_statistics: tuple[DelayLineStatistics, ...] | None = field(default=None, metadata=LEFT_OUT)
    topology_down_s: float | None = field(default=None, metadata=LEFT_OUT)  #: how long the nodes took to end

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
