"""What keeps a run's figures from meaning more than they do: the threats to validity of this scenario on this host.

A report that only praises its figures is not believed. Each rule looks at what was run and says what follows from it;
what does not apply is not said, so that what is said gets read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.plan.sample_size import MIN_BLOCKS
from orchestrator.report.figures import blocks
from orchestrator.scenario.faults import FAULT_KINDS
from orchestrator.scenario.models import Scenario

if TYPE_CHECKING:
    from orchestrator.scenario.fields import Section


class Threat(NamedTuple):
    """One threat: a heading of a few words, and what it means for the figures."""

    heading: str
    text: str


#: This share of late wake-ups makes a noisy host.
_OFTEN_LATE = 0.01

#: A rule: the arms' scenarios, the manifest and the summary in, a threat out where it applies.
_Rule = Callable[[list[Scenario], dict[str, Any], dict[str, Any]], Threat | None]


def threats(scenarios: list[Scenario], manifest: dict[str, Any], summary: dict[str, Any]) -> list[Threat]:
    """The threats that apply to a run of `scenarios` (one an arm), the gravest kinds first."""
    return list(_applying(scenarios, manifest, summary))


def _applying(scenarios: list[Scenario], manifest: dict[str, Any], summary: dict[str, Any]) -> Iterator[Threat]:
    for rule in _RULES:
        threat = rule(scenarios, manifest, summary)
        if threat is not None:
            yield threat


def _few_blocks(_scenarios: list[Scenario], _manifest: dict[str, Any], summary: dict[str, Any]) -> Threat | None:
    if summary["blocks"] >= MIN_BLOCKS:
        return None
    return Threat(
        "Too few blocks",
        f"No intervals from {blocks(summary['blocks'])} of each strategy: this run shows, it proves not.",
    )


def _closed(scenarios: list[Scenario], _manifest: dict[str, Any], _summary: dict[str, Any]) -> Threat | None:
    if all(scenario.workload.arrivals.mode != "closed" for scenario in scenarios):
        return None
    return Threat(
        "Closed arrivals",
        "While a request is stuck its user sends no other, so the waiting of those that would have come is left out "
        "(coordinated omission). Latencies under open arrivals would be longer.",
    )


def _healing(scenarios: list[Scenario], _manifest: dict[str, Any], _summary: dict[str, Any]) -> Threat | None:
    if not any(scenario.service.stall and scenario.service.stall.heal_on_duplicate for scenario in scenarios):
        return None
    return Threat(
        "The rescue is certain by construction",
        "The server answers the second copy of a stalled request at once. A real server that stalls may stall on the "
        "copy too; what is measured is the hedger, not the odds of a hedge.",
    )


def _of_fault(kind: type[Section]) -> _Rule:
    """The threat that faults of `kind` bring, wherever there is one."""

    def rule(scenarios: list[Scenario], _manifest: dict[str, Any], _summary: dict[str, Any]) -> Threat | None:
        faults = (fault for scenario in scenarios for fault in scenario.faults if isinstance(fault, kind))
        return next((Threat(*fault.threat) for fault in faults if fault.threat is not None), None)

    return rule


def _one_host(_scenarios: list[Scenario], manifest: dict[str, Any], _summary: dict[str, Any]) -> Threat | None:
    joined = "a Docker bridge" if manifest.get("backend") == "docker" else "a bridge between network namespaces"
    return Threat(
        "One host, no network",
        f"Client, hedger and servers share one kernel and its CPUs, joined by {joined}: no network card, no switch, "
        "no competing traffic. Round trips are far shorter than between machines.",
    )


def _virtual(_scenarios: list[Scenario], manifest: dict[str, Any], _summary: dict[str, Any]) -> Threat | None:
    if not manifest.get("host", {}).get("hypervisor"):
        return None
    return Threat(
        "A virtual machine",
        "The hypervisor may take the CPU away at any time, which shows as lateness of whoever was to run. Maxima and "
        "P99.9 are this host's moods first of all.",
    )


def _busy(_scenarios: list[Scenario], manifest: dict[str, Any], _summary: dict[str, Any]) -> Threat | None:
    noise = manifest.get("noise")
    if noise is None or noise["late_1ms"] < _OFTEN_LATE:
        return None
    return Threat(
        "A noisy host",
        f"Before the run, with nothing of it at work, {noise['late_1ms']:.1%} of this host's wake-ups were more than "
        f"a millisecond late (P99 {noise['lateness_us']['p99'] / 1000:.1f} ms). Every latency here may be too long "
        "by as much; tails most of all.",
    )


def _htb(_scenarios: list[Scenario], _manifest: dict[str, Any], summary: dict[str, Any]) -> Threat | None:
    if summary.get("delay_line") != "htb":
        return None
    return Threat(
        "Another delay line than published",
        "The published design holds requests in netem; HTB classes did it here. Both are tested against each other "
        "on stock kernels.",
    )


def _dirty(_scenarios: list[Scenario], manifest: dict[str, Any], _summary: dict[str, Any]) -> Threat | None:
    git = manifest.get("git") or {}
    if git.get("commit") and not git.get("dirty"):
        return None
    state = "had changes that no commit holds" if git.get("commit") else "was no git checkout that could be asked"
    return Threat("Sources not pinned", f"The sources {state}, so nobody can be sure to run the same again.")


def _one_run(_scenarios: list[Scenario], _manifest: dict[str, Any], _summary: dict[str, Any]) -> Threat | None:
    return Threat(
        "One run on one machine",
        "The intervals tell how sure this run is of this machine at that hour. Another machine is another "
        "experiment: run it there.",
    )


_RULES: tuple[_Rule, ...] = (
    _few_blocks,
    _closed,
    _healing,
    *(_of_fault(kind) for kind in FAULT_KINDS),
    _one_host,
    _virtual,
    _busy,
    _htb,
    _dirty,
    _one_run,
)
