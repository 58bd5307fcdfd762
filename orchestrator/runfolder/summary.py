"""summary.json: the figures of a run with their intervals, and the verdict on each claim.

The analysis makes a `Summary` and writes it; whatever reports on a run reads it. docs/run-folder.md describes the
keys. Durations are in ms or µs as the names say; what does not exist, or lies beyond the time-out, is None.
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

    `censored` names the latencies that fall among time-outs, which are None for it. `stalled` and `stalled_hedged`
    are None where no server row tells, `send_lateness_us` in closed arrivals. `copies_sent`, `extra_copies_sent` and
    `lateness_from_intended_us` are not in the summaries of 0.1.0. `engine` and `delay_line` are None where the kernel
    only watched, and in runs of 0.2.0 and before.
    """

    requests: int
    answered: int
    timeouts: int
    errors: int
    duplicates_delivered: int
    hedges: int
    hedges_won: int
    hedges_won_unknown: int
    hedge_rate: float | None
    win_rate: float | None
    copies_sent: int | None = field(default=None, metadata=LEFT_OUT)
    extra_copies_sent: float | None = field(default=None, metadata=LEFT_OUT)
    extra_load: float | None
    wasted: float | None
    stalled: int | None
    stalled_hedged: int | None
    latency_ms: Quantiles
    hedged_mean_ms: float | None
    ci95_ms: Intervals
    order_ci95_ms: Intervals
    lateness_us: Quantiles
    lateness_ci95_us: Intervals
    lateness_from_intended_us: Quantiles = field(default_factory=dict, metadata=LEFT_OUT)
    send_lateness_us: Quantiles | None = None
    buffered_ms: Quantiles = field(default_factory=dict)
    censored: tuple[str, ...] = field(default=(), metadata=LEFT_OUT)
    published_ms: dict[str, float] | None = field(default=None, metadata=LEFT_OUT)
    engine: str | None = field(default=None, metadata=LEFT_OUT)
    delay_line: str | None = field(default=None, metadata=LEFT_OUT)

    @property
    def unanswered(self) -> int:
        """Requests without an answer."""
        return self.requests - self.answered


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Which strategies are compared (the first with the `reference`), and in which latency figure."""

    strategy: str
    reference: str = field(metadata=key("with"))
    figure: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far two figures are apart: the ratio of the first to the other, and first minus other.

    `censored` names the sides ("strategy", "with") that fall among time-outs; there is no number then.
    """

    ratio: float | None
    ratio_ci95: Interval | None
    difference_ms: float | None
    difference_ci95_ms: Interval | None
    censored: tuple[str, ...] = field(default=(), metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class Comparison(Difference, Sides):
    """Two strategies of one arm, paired by round. (In the file the last base's keys come first.)"""


@dataclass(frozen=True, kw_only=True)
class ControlFigure(Difference):
    """One figure of the A/A control; `no_effect` is None where there is no p-value."""

    p_adjusted: float | None
    no_effect: bool | None = field(metadata=key("null"))


def _records_p_value(control: ControlResult) -> bool:
    """Where there is no p-value the reason is there; the first summaries had neither."""
    return control.p_adjusted is not None or bool(control.reason)


@dataclass(frozen=True, kw_only=True)
class ControlResult:
    """The A/A control of one arm: the halves of `strategy` against each other, which must show no effect.

    `requests` is how many either half has. `no_effect` and `p_adjusted` are those of all figures together, None where
    there is no p-value, for which there is a `reason`.
    """

    strategy: str
    requests: tuple[int, int]
    p_adjusted: float | None = field(default=None, metadata=written_if(_records_p_value))
    no_effect: bool | None = field(metadata=key("null"))
    figures: dict[str, ControlFigure]
    reason: str = field(default="", metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class Proven:
    """What a count proves: with `events` `of` so many requests, the true share is `side` `share` (95 %, one-sided).

    `side` is "at most" or "at least". It holds where requests are independent of each other (Clopper and Pearson).
    """

    side: str
    share: float
    events: int
    of: int


@dataclass(frozen=True, kw_only=True)
class ClaimVerdict:
    """What became of one claim.

    `observed`, with its interval `ci95`, is in `unit`: "ms", "us", "count", "share" or "ratio". `requests_needed` of
    each strategy would probably decide it. `p_assumes` is what the p-values hold only under, `p_method` what they
    are. None is printed smaller than `p_floor`, which is all that so few blocks can show by themselves; the verdict
    rests on the p-values before that. `proves` is what the count of a counted claim bounds. `reason` says why nothing
    could be decided.
    """

    id: str
    text: str
    verdict: Verdict
    observed: float | None
    ci95: Interval | None
    unit: str
    expect: str
    p_value: float | None = None
    p_adjusted: float | None = None
    requests_needed: int | None = None
    p_assumes: str = field(default="", metadata=LEFT_OUT)
    p_method: str = field(default="", metadata=LEFT_OUT)
    p_floor: float | None = field(default=None, metadata=LEFT_OUT)
    proves: Proven | None = field(default=None, metadata=LEFT_OUT)
    reason: str = field(default="", metadata=LEFT_OUT)
    stated_after_run: bool = field(default=False, metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class ArmSummary:
    """One arm: `set` holds what it changes in the scenario, by dotted key. `name` is None where a run has no arms."""

    name: str | None
    set: JsonObject
    arrivals: str
    verdict: Verdict | None
    strategies: dict[str, StrategySummary]
    comparisons: tuple[Comparison, ...]
    control: ControlResult | None = None
    claims: tuple[ClaimVerdict, ...]


@dataclass(frozen=True, kw_only=True)
class FaultSummary:
    """One fault at one node: how often it occurred and was proven to; by strategy, the requests due meanwhile."""

    arm: str | None
    fault: str
    target: str
    occurrences: int
    proven: int
    requests: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class DiscardedBlock:
    """An attempt at a block that enters no figure, and why."""

    arm: str | None
    strategy: str
    block: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DisturbedBlock:
    """A block in which other work on the host took far more than in the arm's `others_ms` (least and most).

    `measure` is "steal_ms", what the hypervisor took, or "cpu_pressure_ms", how long tasks waited for a CPU.
    """

    arm: str | None
    strategy: str
    block: int
    measure: str
    value_ms: float
    others_ms: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class ClockSetBlock:
    """A block during which CLOCK_REALTIME was set, `by_ms` (negative: back): its samples have no `kernel_rx_ns`."""

    arm: str | None
    strategy: str
    block: int
    by_ms: float


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A run. It always has arms in memory: a run without arms is one whose name is None.

    `arrivals` is "mixed" where arms differ; `blocks` is the number of rounds; `verdict` the worst of all claims, None
    without claims. `matrix` holds the swept values by dotted key, and is empty where the run is not a sweep.
    `claims_across_arms` are those that belong to no single arm. `accepted_changes` says, in words, what was changed
    after the run and analysed nevertheless. `schema` is the number of the format that it was written in.
    """

    schema: int = FORMAT_VERSIONS["summary.json"]
    scenario: str
    run: str
    backend: str | None
    engine: str | None
    delay_line: str | None
    arrivals: str
    blocks: int
    verdict: Verdict | None
    matrix: JsonObject = field(default_factory=dict, metadata=LEFT_OUT)
    arms: tuple[ArmSummary, ...]
    claims_across_arms: tuple[ClaimVerdict, ...] = field(default=(), metadata=key("claims"))
    faults: tuple[FaultSummary, ...] = ()
    discarded: tuple[DiscardedBlock, ...] = ()
    accepted_changes: tuple[str, ...] = field(default=(), metadata=LEFT_OUT)
    disturbed: tuple[DisturbedBlock, ...] = field(default=(), metadata=LEFT_OUT)
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
