"""The comparison of two runs: environment, scenario, figures and verdicts, in reading order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import yaml

from orchestrator.errors import RunError, UsageError
from orchestrator.report.compare.differences import Difference, environment_differences, scenario_differences
from orchestrator.report.formatting import in_arm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.runfolder.codec import JsonObject
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.runfolder.run import Run
    from orchestrator.runfolder.summary import ArmSummary, ClaimVerdict, Interval, StrategySummary, Summary

LETTERS = ("A", "B")
CAUTION = (
    "Two runs are measured at different times, perhaps on different hosts: what differs may be just that. Intervals "
    "that lie apart are a reason to look, not proof of a difference; a difference that can be claimed needs both "
    "variants in one run, interleaved, as arms of one scenario."
)


class Figure(NamedTuple):
    """A figure that is compared: its unit, and where a strategy has it, and its interval if it has one.

    `latency` is the name under which the summary says that it is censored.
    """

    name: str
    unit: Literal["ms", "us", "ratio"]
    value: Callable[[StrategySummary], float | None]
    interval: Callable[[StrategySummary], Interval | None] = lambda _: None
    latency: str = ""


def _latency(name: str, key: str) -> Figure:
    return Figure(
        name, "ms", lambda figures: figures.latency_ms.get(key), lambda figures: figures.ci95_ms.get(key), key
    )


def _lateness(name: str, key: str) -> Figure:
    return Figure(
        name, "us", lambda figures: figures.lateness_us.get(key), lambda figures: figures.lateness_ci95_us.get(key)
    )


#: No maximum: it is one request's, and says nothing of another run.
FIGURES = (
    _latency("P50", "p50"),
    _latency("P95", "p95"),
    _latency("P99", "p99"),
    _latency("P99.9", "p999"),
    _latency("mean", "mean"),
    _lateness("late P50", "p50"),
    _lateness("late P99", "p99"),
    Figure("hedge rate", "ratio", lambda figures: figures.hedge_rate),
    Figure("extra load", "ratio", lambda figures: figures.extra_load),
)


@dataclass(frozen=True)
class FigurePair:
    """One figure of both runs; `beyond` says of which it lies beyond the time-out."""

    figure: Figure
    values: tuple[float | None, float | None]
    beyond: tuple[bool, bool]
    ci95: tuple[Interval | None, Interval | None]

    @property
    def overlap(self) -> bool | None:
        """Whether the intervals overlap; None where there are not two."""
        first, second = self.ci95
        return None if first is None or second is None else overlap(first, second)

    def as_json(self) -> JsonObject:
        return {
            "figure": self.figure.name,
            "unit": self.figure.unit,
            "values": self.values,
            "ci95": self.ci95,
            "overlap": self.overlap,
        }


@dataclass(frozen=True)
class StrategyPair:
    """One strategy, in one arm where there are arms, in both runs."""

    arm: str | None
    strategy: str
    figures: tuple[FigurePair, ...]

    def as_json(self) -> JsonObject:
        return {
            "arm": self.arm,
            "strategy": self.strategy,
            "figures": [figure.as_json() for figure in self.figures],
        }


@dataclass(frozen=True)
class ClaimPair:
    """One claim in both runs, None where one does not make it; `arm` is None unless one arm makes it."""

    arm: str | None
    id: str
    claims: tuple[ClaimVerdict | None, ClaimVerdict | None]

    @property
    def verdicts(self) -> tuple[str | None, str | None]:
        """Both verdicts."""
        first, second = (None if claim is None else claim.verdict for claim in self.claims)
        return first, second

    @property
    def expects(self) -> tuple[str | None, str | None]:
        """What each run expected, which may differ under the same id."""
        first, second = (None if claim is None else claim.expect for claim in self.claims)
        return first, second

    @property
    def changed(self) -> bool:
        """Whether the verdicts differ, or only one run makes the claim, or stated it only afterwards."""
        first, second = self.verdicts
        return first != second or self.stated_after_run[0] != self.stated_after_run[1]

    @property
    def stated_after_run(self) -> tuple[bool, bool]:
        """Whether each run was given the claim only after it was measured."""
        first, second = (claim is not None and claim.stated_after_run for claim in self.claims)
        return first, second

    def as_json(self) -> JsonObject:
        return {
            "arm": self.arm,
            "id": self.id,
            "changed": self.changed,
            "verdicts": self.verdicts,
            "stated_after_run": self.stated_after_run,
            "observed": [None if claim is None else claim.observed for claim in self.claims],
            "ci95": [None if claim is None else claim.ci95 for claim in self.claims],
            "expect": self.expects,
        }


@dataclass(frozen=True)
class Comparison:
    """Two runs beside each other; `alone` says what only the one, and only the other, has figures of."""

    runs: tuple[Run, Run]
    environment: list[Difference]
    scenario: list[Difference]
    pairs: list[StrategyPair]
    alone: tuple[list[str], list[str]]
    claims: list[ClaimPair]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return "--".join(run.name for run in self.runs)

    @property
    def arms(self) -> list[str | None]:
        """The arms that both runs have, [None] where they have no arms."""
        return list(dict.fromkeys(pair.arm for pair in self.pairs))

    @property
    def changed_claims(self) -> list[ClaimPair]:
        """The claims whose verdict is not the same in both runs."""
        return [claim for claim in self.claims if claim.changed]

    def strategies(self, arm: str | None) -> list[str]:
        """The strategies of `arm` that both runs have."""
        return [pair.strategy for pair in self.pairs if pair.arm == arm]

    def as_json(self) -> JsonObject:
        """What `compare --json` prints."""
        return {
            "runs": [_run_as_json(run) for run in self.runs],
            "environment": [difference.as_json() for difference in self.environment],
            "scenario": [difference.as_json() for difference in self.scenario],
            "strategies": [pair.as_json() for pair in self.pairs],
            "alone": self.alone,
            "claims": [claim.as_json() for claim in self.claims],
            "caution": CAUTION,
        }


def compare(one: Run, other: Run) -> Comparison:
    """Compare two runs.

    Raises RunError where a folder lacks something, UsageError where the runs have no strategy of an arm in common.
    """
    scenarios = _scenario(one.folder), _scenario(other.folder)
    pairs = _strategy_pairs(one.summary, other.summary)
    if not pairs:
        has = "; ".join(f"{run.name} has {_strategies(run.summary)}" for run in (one, other))
        with_arms = one.summary.has_arms or other.summary.has_arms
        raise UsageError(
            f"the runs have no strategy in common{' in an arm of the same name' * with_arms}: {has}",
            "compare runs of one scenario, or of two that share a strategy",
        )
    return Comparison(
        runs=(one, other),
        environment=environment_differences(one.manifest, other.manifest),
        scenario=scenario_differences(*scenarios),
        pairs=pairs,
        alone=(_alone(one.summary, other.summary), _alone(other.summary, one.summary)),
        claims=_claim_pairs(one.summary, other.summary),
    )


def overlap(first: Interval, second: Interval) -> bool:
    """Whether two intervals share a value; an end that is None lies beyond the time-out."""
    low, high = ([math.inf if end is None else end for end in ends] for ends in zip(first, second, strict=True))
    return max(low) <= min(high)


def _run_as_json(run: Run) -> JsonObject:
    summary = run.summary
    return {
        "run": run.name,
        "folder": str(run.folder.path),
        "started_at": run.manifest.started_at,
        "scenario": summary.scenario,
        "backend": summary.backend,
        "engine": summary.engine,
        "delay_line": summary.delay_line,
        "verdict": summary.verdict,
        "blocks": summary.blocks,
    }


def _scenario(folder: RunFolder) -> JsonObject:
    """The scenario as plain data: an old one can be compared even where this version would refuse to run it."""
    try:
        content = yaml.safe_load(folder.scenario.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunError(f"{folder.scenario} cannot be read: {error}", "is this the folder of a run?") from error
    return content if isinstance(content, dict) else {}


def _strategy_pairs(one: Summary, other: Summary) -> list[StrategyPair]:
    """What both runs have, in the order of the first."""
    arms = _arms(other)
    return [
        StrategyPair(arm.name, strategy, tuple(_figure_pairs(figures, arms[arm.name].strategies[strategy])))
        for arm in one.arms
        if arm.name in arms
        for strategy, figures in arm.strategies.items()
        if strategy in arms[arm.name].strategies
    ]


def _arms(summary: Summary) -> dict[str | None, ArmSummary]:
    return {arm.name: arm for arm in summary.arms}


def _figure_pairs(one: StrategySummary, other: StrategySummary) -> Iterator[FigurePair]:
    """The figures that at least one of two strategies has."""
    for figure in FIGURES:
        values = (figure.value(one), figure.value(other))
        beyond = (figure.latency in one.censored, figure.latency in other.censored)
        if values != (None, None) or any(beyond):
            yield FigurePair(figure, values, beyond, (figure.interval(one), figure.interval(other)))


def _alone(summary: Summary, other: Summary) -> list[str]:
    """What only the first has: arms, and strategies in arms that both have."""
    found, arms = [], _arms(other)
    for arm in summary.arms:
        if arm.name not in arms:
            found.append("figures without arms" if arm.name is None else f"arm {arm.name}")
            continue
        theirs = arms[arm.name].strategies
        found += [in_arm(arm.name, strategy) for strategy in arm.strategies if strategy not in theirs]
    return found


def _claim_pairs(one: Summary, other: Summary) -> list[ClaimPair]:
    """Every claim that at least one of the runs makes, in the order of the first one, then of the other."""
    first, second = ({(arm, claim.id): claim for arm, claim in summary.claims()} for summary in (one, other))
    return [ClaimPair(arm, name, (first.get((arm, name)), second.get((arm, name)))) for arm, name in first | second]


def _strategies(summary: Summary) -> str:
    """What a run has figures of, by arm."""
    described = []
    for arm in summary.arms:
        strategies = ", ".join(arm.strategies)
        described.append(f"{strategies} (no arms)" if arm.name is None else f"{strategies} in {arm.name}")
    return "; ".join(described)
