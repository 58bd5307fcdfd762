"""Which claims two runs judge differently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.report.comparison.sources import Source

Claim = dict[str, Any]


@dataclass(frozen=True)
class ClaimPair:
    """One claim in both runs, None where one does not make it; `arm` None where it is no arm's own."""

    arm: str | None
    id: str
    claims: tuple[Claim | None, Claim | None]

    @property
    def verdicts(self) -> tuple[str | None, str | None]:
        """Both verdicts."""
        first, second = (None if claim is None else claim["verdict"] for claim in self.claims)
        return first, second

    @property
    def expects(self) -> tuple[str | None, str | None]:
        """What each run expected: a claim may have kept its id and become another one."""
        first, second = (None if claim is None else claim["expect"] for claim in self.claims)
        return first, second

    @property
    def changed(self) -> bool:
        """Whether the verdicts differ; so they do where only one run makes the claim."""
        first, second = self.verdicts
        return first != second

    def as_json(self) -> dict[str, Any]:
        return {
            "arm": self.arm,
            "id": self.id,
            "changed": self.changed,
            "verdicts": list(self.verdicts),
            "observed": [None if claim is None else claim["observed"] for claim in self.claims],
            "ci95": [None if claim is None else claim["ci95"] for claim in self.claims],
            "expect": list(self.expects),
        }


def claim_pairs(runs: tuple[Source, Source]) -> list[ClaimPair]:
    """Every claim that at least one of the runs makes, in the first one's order, then the second's."""
    first, second = (run.claims for run in runs)
    return [
        ClaimPair(arm, name, (first.get((arm, name)), second.get((arm, name)))) for arm, name in {**first, **second}
    ]
