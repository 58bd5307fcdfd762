"""Summaries made up, or made from others, and the text that the terminal shows of one."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.report.terminal import print_summary
from orchestrator.runfolder.summary import ArmSummary, ClaimVerdict, Summary

if TYPE_CHECKING:
    from orchestrator.runfolder.summary import Verdict


def claim(name: str, verdict: Verdict) -> ClaimVerdict:
    """A claim of which only that is known."""
    return ClaimVerdict(
        id=name, text="", verdict=verdict, observed=None, ci95=None, unit="ms", expect="p99(kernel) <= 1ms"
    )


def arm(name: str | None, *claims: ClaimVerdict) -> ArmSummary:
    """An arm that measured nothing but made `claims`."""
    return ArmSummary(name=name, set={}, arrivals="open", verdict=None, strategies={}, comparisons=(), claims=claims)


def summary_of(*arms: ArmSummary, verdict: Verdict | None = None, across: tuple[ClaimVerdict, ...] = ()) -> Summary:
    """A run of `arms` that made the claims `across` them."""
    return Summary(
        scenario="smoke",
        run="smoke-20260101T120000Z-000000",
        backend="netns",
        engine="clone",
        delay_line="netem",
        arrivals="open",
        blocks=10,
        verdict=verdict,
        arms=arms,
        claims_across_arms=across,
    )


def with_claims(summary: Summary, *claims: ClaimVerdict) -> Summary:
    """`summary`, of a run without arms, with other claims."""
    return replace(summary, arms=(replace(summary.arms[0], claims=claims),))


def printed(summary: Summary) -> str:
    """`summary` as it is printed where there is no terminal."""
    file = io.StringIO()
    print_summary(summary, file)
    return file.getvalue()
