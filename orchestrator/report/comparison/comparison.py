"""Everything that two runs are compared in, in the order in which it should be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import UsageError
from orchestrator.report.comparison.claims import ClaimPair, claim_pairs
from orchestrator.report.comparison.differences import Difference, environment_differences, scenario_differences
from orchestrator.report.comparison.figures import Pair, alone, pairs
from orchestrator.report.comparison.sources import Source, read_source

if TYPE_CHECKING:
    from orchestrator.runfolder.folder import RunFolder

LETTERS = ("A", "B")
CAUTION = (
    "Two runs are measured at different times, perhaps on different hosts: what differs may be just that. Intervals "
    "that lie apart are a reason to look, no proof of a difference; a difference that can be claimed needs both "
    "variants in one run, interleaved, as arms of one scenario."
)
_TOLD = ("scenario", "backend", "engine", "delay_line", "verdict", "blocks")


@dataclass(frozen=True)
class Comparison:
    """Two runs beside each other; `alone` says what only the one, and only the other, has figures of."""

    runs: tuple[Source, Source]
    environment: list[Difference]
    scenario: list[Difference]
    pairs: list[Pair]
    alone: tuple[list[str], list[str]]
    claims: list[ClaimPair]

    @property
    def name(self) -> str:
        """What its folder is called."""
        return "--".join(run.folder.name for run in self.runs)

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

    def as_json(self) -> dict[str, Any]:
        """What `compare --json` prints."""
        return {
            "runs": [_told(run) for run in self.runs],
            "environment": [difference.as_json() for difference in self.environment],
            "scenario": [difference.as_json() for difference in self.scenario],
            "strategies": [pair.as_json() for pair in self.pairs],
            "alone": list(self.alone),
            "claims": [claim.as_json() for claim in self.claims],
            "caution": CAUTION,
        }


def compare(first: RunFolder, second: RunFolder) -> Comparison:
    """Compare two runs by what their folders hold.

    Raises RunError where a folder lacks something, UsageError where the runs have no strategy of an arm in common.
    """
    runs = (read_source(first), read_source(second))
    found = pairs(runs)
    if not found:
        has = "; ".join(f"{run.folder.name} has {_strategies(run)}" for run in runs)
        raise UsageError(
            f"the runs have no strategy in common{' in an arm of the same name' * _with_arms(runs)}: {has}",
            "compare runs of one scenario, or of two that share a strategy",
        )
    return Comparison(
        runs=runs,
        environment=environment_differences(runs),
        scenario=scenario_differences(runs),
        pairs=found,
        alone=(alone(runs[0], runs[1]), alone(runs[1], runs[0])),
        claims=claim_pairs(runs),
    )


def _told(run: Source) -> dict[str, Any]:
    summary = {key: run.summary.get(key) for key in _TOLD}
    started_at = run.manifest.get("started_at")
    return {"run": run.folder.name, "folder": str(run.folder.path), "started_at": started_at, **summary}


def _with_arms(runs: tuple[Source, Source]) -> bool:
    return any(None not in run.arms for run in runs)


def _strategies(run: Source) -> str:
    """What a run has figures of, by arm."""
    told = []
    for arm, content in run.arms.items():
        names = ", ".join(content["strategies"])
        told.append(f"{names} (no arms)" if arm is None else f"{names} in {arm}")
    return "; ".join(told)
