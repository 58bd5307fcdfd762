"""summary.json: the figures of a run with their intervals, and the verdict on each claim.

The analysis makes a `Summary` and writes it; whatever reports on a run reads it. docs/run-folder-keys.md is made from
the types and the comments `#:` of their fields. Durations are in ms or µs as the names say; what does not exist, or
lies beyond the time-out, is None.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from orchestrator.errors import RunError
from orchestrator.runfolder.codec import (
    LEFT_OUT,
    JsonObject,
    MismatchError,
    decode,
    encode_object,
    key,
    written_if,
)
from orchestrator.runfolder.format_versions import FORMAT_VERSIONS, read_json
from orchestrator.runfolder.safe_files import replace_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.runfolder.folder import RunFolder

Verdict = Literal["supported", "refuted", "inconclusive"]

#: Figures by the name of the quantile: "p50", "p99" …, "max", "mean".
Quantiles = dict[str, float | None]
Interval = tuple[float | None, float | None]  #: lower and upper end
Intervals = dict[str, Interval | None]  #: as `Quantiles`

#: What a run has for itself where it has no arms, and each of its arms where it has some.
_OF_AN_ARM = ("strategies", "comparisons", "control", "claims")


@dataclass(frozen=True, kw_only=True)
class StrategySummary:
    """The figures of one strategy in one arm.

    `copies_sent`, `extra_copies_sent` and `lateness_from_intended_us` are not in the summaries of 0.1.0; `engine` and
    `delay_line` not in runs of 0.2.0 and before.
    """

    requests: int  #: measured ones
    answered: int
    timeouts: int
    errors: int
    duplicates_delivered: int  #: responses beyond the first that reached the client
    hedges: int  #: those that left
    hedges_won: int  #: those whose response came first
    hedges_won_unknown: int  #: those of which that is unknown
    hedge_rate: float | None  #: the function `rate` of claims
    win_rate: float | None  #: null where it is unknown for one hedge
    #: Requests and hedges that left.
    copies_sent: int | None = field(default=None, metadata=LEFT_OUT)
    #: `copies_sent` / `requests` - 1. Unlike `extra_load`, it counts lost copies.
    extra_copies_sent: float | None = field(default=None, metadata=LEFT_OUT)
    extra_load: float | None  #: the function of claims
    wasted: float | None  #: the function of claims
    stalled: int | None  #: requests whose primary the server stalled; null where no server row tells
    stalled_hedged: int | None  #: those of them that were hedged
    #: `p50`, `p90`, `p95`, `p99`, `p999`, `max`, `mean`. Quantiles are order statistics; time-outs count as longer
    #: than any number.
    latency_ms: Quantiles
    hedged_mean_ms: float | None  #: null without hedged requests, or with time-outs among them
    ci95_ms: Intervals  #: 95 % intervals by blocks; null where sample or blocks are too few
    order_ci95_ms: Intervals  #: the quantiles' exact intervals by ranks, were requests independent
    lateness_us: Quantiles  #: of hedges: `p50`, `p99`, `max`
    lateness_ci95_us: Intervals  #: 95 % intervals of `lateness_us`
    #: As `lateness_us`, from the request's intended time of sending.
    lateness_from_intended_us: Quantiles = field(default_factory=dict, metadata=LEFT_OUT)
    send_lateness_us: Quantiles | None = None  #: of the requests: `p50`, `p99`, `max`; null in closed arrivals
    buffered_ms: Quantiles = field(default_factory=dict)  #: from `kernel_rx_ns` to `received_ns`: `p50`, `p99`
    #: Quantiles that fall among time-outs, and are null.
    censored: tuple[str, ...] = field(default=(), metadata=LEFT_OUT)
    published_ms: dict[str, float] | None = field(default=None, metadata=LEFT_OUT)  #: others' figures
    engine: str | None = field(default=None, metadata=LEFT_OUT)  #: what hedged it; not where the kernel only watched
    delay_line: str | None = field(default=None, metadata=LEFT_OUT)  #: as `engine`

    @property
    def unanswered(self) -> int:
        """Requests without an answer."""
        return self.requests - self.answered


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Which strategies are compared, and in which latency figure."""

    strategy: str  #: the first
    reference: str = field(metadata=key("with"))  #: the other
    figure: str  #: of the latency


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far two figures are apart."""

    ratio: float | None  #: first / other; null where a side is censored
    ratio_ci95: Interval | None  #: paired by round; an end that time-outs leave open is null, the lower one 0
    difference_ms: float | None  #: first - other; null where a side is censored
    difference_ci95_ms: Interval | None  #: paired by round; an end that time-outs leave open is null
    #: Sides that fall among time-outs: `strategy`, `with`.
    censored: tuple[str, ...] = field(default=(), metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class Comparison(Difference, Sides):
    """Two strategies of one arm, paired by round. (In the file the last base's keys come first.)"""


@dataclass(frozen=True, kw_only=True)
class ControlFigure(Difference):
    """One figure of the A/A control."""

    p_adjusted: float | None  #: over all figures of all arms; null without a p-value
    no_effect: bool | None = field(metadata=key("null"))  #: true: no effect, as expected


def _records_p_value(control: ControlResult) -> bool:
    """Where there is no p-value the reason is there; the first summaries had neither."""
    return control.p_adjusted is not None or bool(control.reason)


@dataclass(frozen=True, kw_only=True)
class ControlResult:
    """The A/A control of one arm: the halves of `strategy` against each other, which must show no effect."""

    strategy: str
    requests: tuple[int, int]  #: in each half
    #: The least of the figures', which are adjusted for those of all arms; null without a p-value.
    p_adjusted: float | None = field(default=None, metadata=written_if(_records_p_value))
    no_effect: bool | None = field(metadata=key("null"))  #: of all figures: true as expected
    figures: dict[str, ControlFigure]
    #: How many figures of all arms have intervals; these hold all together in 95 % of runs.
    intervals_together: int | None = field(default=None, metadata=LEFT_OUT)
    #: Of each interval by itself, to that end: 0.9875 of four. Before number 3 it was 95 %, with this left out.
    level_of_each: float | None = field(default=None, metadata=LEFT_OUT)
    reason: str = field(default="", metadata=LEFT_OUT)  #: why there is no p-value


@dataclass(frozen=True, kw_only=True)
class Proven:
    """What a count proves: the true share is `side` `share` (95 %, one-sided).

    It holds where requests are independent of each other (Clopper and Pearson).
    """

    side: str  #: `at most` or `at least`
    share: float
    events: int  #: the requests counted
    of: int  #: of so many


@dataclass(frozen=True, kw_only=True)
class ClaimVerdict:
    """What became of one claim. The verdict rests on the p-values before they are raised to `p_floor`."""

    id: str  #: as in the scenario, as are `text` and `expect`
    text: str
    verdict: Verdict
    observed: float | None  #: the claim's figure, or the ratio or difference of both sides
    ci95: Interval | None  #: of `observed`
    unit: str  #: of both: `ms`, `us`, `count`; `share` and `ratio` are plain numbers
    expect: str
    p_value: float | None = None  #: null for what was counted or cannot be judged
    p_adjusted: float | None = None  #: for the number of claims
    requests_needed: int | None = None  #: of each strategy, that would probably decide it
    p_assumes: str = field(default="", metadata=LEFT_OUT)  #: the assumption under which alone both hold
    p_method: str = field(default="", metadata=LEFT_OUT)  #: how both were found
    #: Neither is printed below it: what so many blocks can show by themselves.
    p_floor: float | None = field(default=None, metadata=LEFT_OUT)
    #: Where no request, or every one, has what is counted: what that bounds.
    proves: Proven | None = field(default=None, metadata=LEFT_OUT)
    reason: str = field(default="", metadata=LEFT_OUT)  #: of the verdict, where there is one to give
    #: True where the manifest did not hold the claim before the run.
    stated_after_run: bool = field(default=False, metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class ArmSummary:
    """One arm; `name` is None where a run has no arms."""

    name: str | None
    set: JsonObject  #: what it changes in the scenario, by dotted key
    arrivals: str  #: `closed` or `open`
    verdict: Verdict | None  #: the worst of its claims
    strategies: dict[str, StrategySummary]
    comparisons: tuple[Comparison, ...]
    control: ControlResult | None = None  #: the A/A control; null without a baseline
    claims: tuple[ClaimVerdict, ...]


@dataclass(frozen=True, kw_only=True)
class FaultSummary:
    """One fault at one node."""

    arm: str | None
    fault: str
    target: str  #: the node
    occurrences: int
    proven: int  #: how many of them are
    requests: dict[str, int]  #: by strategy, how many were due while it was on


@dataclass(frozen=True, kw_only=True)
class DiscardedBlock:
    """An attempt at a block that enters no figure, and why."""

    arm: str | None
    strategy: str
    block: int  #: the round, from 0
    reasons: tuple[str, ...]  #: in words


@dataclass(frozen=True, kw_only=True)
class DisturbedBlock:
    """A block in which other work on the host took far more than in the arm's others."""

    arm: str | None
    strategy: str
    block: int  #: the round, from 0
    measure: str  #: `steal_ms`, or `cpu_pressure_ms` from the manifest's `cpu_pressure_us`
    value_ms: float
    others_ms: tuple[float, float]  #: the least and the most of the arm's other blocks


@dataclass(frozen=True, kw_only=True)
class ClockSetBlock:
    """A block during which CLOCK_REALTIME was set: its samples have no `kernel_rx_ns`."""

    arm: str | None
    strategy: str
    block: int  #: the round, from 0
    by_ms: float  #: by how much; negative where it was set back


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A run. It always has arms in memory: a run without arms is one whose name is None."""

    schema: int = FORMAT_VERSIONS["summary.json"]  #: the number of this file's format
    scenario: str  #: its name
    run: str  #: the folder's name
    backend: str | None  #: as in the manifest, as are `engine` and `delay_line`
    engine: str | None
    delay_line: str | None
    arrivals: str  #: `closed`, `open`, or `mixed` where arms differ
    blocks: int  #: rounds measured
    verdict: Verdict | None  #: the worst of all claims; null without claims
    #: The swept values, by dotted key.
    matrix: JsonObject = field(default_factory=dict, metadata=LEFT_OUT)
    arms: tuple[ArmSummary, ...]  #: left out without arms, as are `claims` across them
    claims_across_arms: tuple[ClaimVerdict, ...] = field(default=(), metadata=key("claims"))  #: those across arms
    faults: tuple[FaultSummary, ...] = ()  #: one entry a fault and node
    discarded: tuple[DiscardedBlock, ...] = ()  #: attempts at blocks that enter no figure
    #: In words, how the folder had been changed when `analyze --accept-changes` was used; once there it stays.
    accepted_changes: tuple[str, ...] = field(default=(), metadata=LEFT_OUT)
    #: Blocks from which other work on the host took over five times the median of the arm's others, and 50 ms more
    #: than it.
    disturbed: tuple[DisturbedBlock, ...] = field(default=(), metadata=LEFT_OUT)
    #: Blocks during which CLOCK_REALTIME was set.
    clock_set: tuple[ClockSetBlock, ...] = field(default=(), metadata=LEFT_OUT)

    @property
    def has_arms(self) -> bool:
        """Whether the scenario has arms or a matrix."""
        return self.arms[0].name is not None

    def arm(self, name: str | None) -> ArmSummary:
        """The arm called `name`; KeyError where there is none."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)

    def claims(self) -> Iterator[tuple[str | None, ClaimVerdict]]:
        """Each claim with the name of its arm; those across arms come last, under None."""
        for arm in self.arms:
            yield from ((arm.name, claim) for claim in arm.claims)
        yield from ((None, claim) for claim in self.claims_across_arms)

    def to_json(self) -> JsonObject:
        """The content of summary.json."""
        content: JsonObject = {}
        for name, value in encode_object(self).items():
            if self.has_arms or name not in ("arms", "claims"):
                content[name] = value
            elif name == "arms":
                (arm,) = map(encode_object, self.arms)
                content |= {of_arm: arm[of_arm] for of_arm in _OF_AN_ARM}
        return content

    def as_text(self) -> str:
        """The text of summary.json."""
        return json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, folder: RunFolder) -> None:
        """Write summary.json, and give it to the owner of the results folder."""
        replace_text(folder.summary, self.as_text())

    @classmethod
    def from_json(cls, content: JsonObject) -> Summary:
        """The summary in `content`, as any version wrote it; MismatchError where it is not one."""
        content = {"schema": 1, **content}  # the first format had no number
        if "arms" not in content:
            arm = decode(ArmSummary, {**content, "name": None, "set": {}})
            return replace(decode(cls, {**content, "arms": [], "claims": []}), arms=(arm,))
        summary = decode(cls, content)
        if not summary.arms:
            raise MismatchError("arms is empty")
        for arm in summary.arms:
            lacking = summary.matrix.keys() - arm.set.keys()
            if lacking:
                raise MismatchError(f"the arm {arm.name} sets no {', '.join(sorted(lacking))}, which is swept")
        return summary

    @classmethod
    def read(cls, path: Path) -> Summary:
        """The summary in the file at `path`; RunError where there is none, or none that this version reads."""
        remedy = f"orchestrator analyze {path.parent} makes it again"
        content = read_json(path, remedy)
        try:
            return cls.from_json(content)
        except MismatchError as error:
            raise RunError(f"{path} cannot be read: {error}", remedy) from error
