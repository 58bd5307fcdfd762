"""The texts of all warnings: threats to validity on the page, and notes below the tables.

Each rule looks at the scenario, the manifest and the summary of a run. Only what applies to the run is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.claims.functions import FUNCTIONS, LATENCY
from orchestrator.plan.sample_size import MIN_BLOCKS
from orchestrator.report.formatting import CALL, format_blocks, format_figure, format_percent, in_arm, minus, of_arm
from orchestrator.scenario.faults import FAULT_KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.runfolder.manifest import Manifest
    from orchestrator.runfolder.summary import ArmSummary, ControlResult, Summary
    from orchestrator.scenario.fields import Section
    from orchestrator.scenario.models import Scenario

#: From this share of late wake-ups on, a host is noisy.
_OFTEN_LATE = 0.01
#: Of the stalled requests; a quantile between these is called their median.
_MEDIAN = (0.4, 0.6)


class Threat(NamedTuple):
    """One threat: a heading of a few words, and what it means for the figures."""

    heading: str
    text: str


class _Measured(NamedTuple):
    """What the rules look at: the scenario of each arm, where they were run, and what came out."""

    scenarios: Sequence[Scenario]
    manifest: Manifest
    summary: Summary


_Rule = Callable[[_Measured], Threat | None]


def threats(scenarios: Sequence[Scenario], manifest: Manifest, summary: Summary) -> list[Threat]:
    """The threats that apply to a run of `scenarios` (one an arm), the most serious kinds first."""
    run = _Measured(scenarios, manifest, summary)
    return [threat for rule in _RULES if (threat := rule(run)) is not None]


_DISTURBED_SHOWN = 3
_DISTURBANCES = {"steal_ms": "of CPU time stolen", "cpu_pressure_ms": "of waiting for a CPU"}


def warnings(summary: Summary) -> Iterator[str]:
    """Requests without an answer, the A/A control, discarded blocks, disturbed ones, set clocks: a line each."""
    for arm in summary.arms:
        for name, strategy in arm.strategies.items():
            if not strategy.requests:
                yield f"{in_arm(arm.name, name)}: no requests in this run"
            elif strategy.unanswered:
                share = f"{strategy.unanswered} of {strategy.requests} requests"
                yield f"{in_arm(arm.name, name)}: {share} were not answered in time"
    for arm in summary.arms:
        # of several arms only where one of them shows an effect
        if arm.control is not None and (arm.name is None or arm.control.no_effect is False):
            yield of_arm(arm.name, control_note(arm.control))
    for block in summary.discarded:
        where = in_arm(block.arm, block.strategy)
        yield f"{where}: block {block.block} was discarded and measured again: {'; '.join(block.reasons)}"
    worst = sorted(summary.disturbed, key=lambda block: block.value_ms, reverse=True)
    for disturbed in worst[:_DISTURBED_SHOWN]:
        where, low, high = in_arm(disturbed.arm, disturbed.strategy), *disturbed.others_ms
        what = _DISTURBANCES[disturbed.measure]
        yield f"{where}: block {disturbed.block}: {disturbed.value_ms:.0f} ms {what}, others {low:.0f} to {high:.0f}"
    for block_set in summary.clock_set:
        where = f"{in_arm(block_set.arm, block_set.strategy)}: block {block_set.block}"
        by = minus(f"{block_set.by_ms:.1f} ms")
        yield f"{where}: CLOCK_REALTIME was set by {by}; its answers have no time in the socket buffer"
    if len(worst) > _DISTURBED_SHOWN:
        yield f"and {len(worst) - _DISTURBED_SHOWN} more blocks far off in this way, all in summary.json"


def closed_arrivals(summary: Summary) -> Iterator[str]:
    """What the latencies of closed arrivals leave out; nothing for open arrivals."""
    closed = [arm.name or "" for arm in summary.arms if arm.arrivals == "closed"]
    if closed:
        where = "" if len(closed) == len(summary.arms) else f" in {', '.join(closed)}"
        yield (
            f"Closed arrivals{where}: while a request is stuck no other is sent, so these latencies leave out the "
            "waiting of those that would have come (coordinated omission)."
        )


def control_note(control: ControlResult) -> str:
    """The result of the A/A control: the baseline compared with itself."""
    one, other = control.requests
    halves = f"A/A control: {one} requests of the baseline against its other {other}."
    if control.no_effect is None:
        return f"{halves} No intervals{f': {control.reason}' if control.reason else ''}."
    if control.no_effect:
        adjusted = (
            "p is adjusted for the number of figures, which their intervals are not, so one of them may exclude 1"
            if control.level_of_each is None
            else "p and intervals are adjusted for all figures of all arms, so that the ratios' intervals hold 1"
        )
        return (
            f"{halves} No effect shows, as expected: {adjusted}. Their width is the noise within blocks; what "
            "differs from block to block is in the claims' own intervals."
        )
    return (
        f"{halves} An effect shows where there can be none. Chance alone causes that in one run of twenty; "
        "otherwise something is wrong with this run: do not trust its small differences."
    )


def _few_blocks(run: _Measured) -> Threat | None:
    if run.summary.blocks >= MIN_BLOCKS:
        return None
    return Threat(
        "Too few blocks",
        f"With {format_blocks(run.summary.blocks)} of each strategy there are too few blocks for intervals: treat "
        "the result as indicative.",
    )


def _closed(run: _Measured) -> Threat | None:
    if all(scenario.workload.arrivals.mode != "closed" for scenario in run.scenarios):
        return None
    return Threat(
        "Closed arrivals",
        "While a request is stuck its user sends no other, so the waiting of those that would have come is left out "
        "(coordinated omission). Latencies under open arrivals would be longer.",
    )


def _healing(run: _Measured) -> Threat | None:
    if not any(scenario.service.stall and scenario.service.stall.heal_on_duplicate for scenario in run.scenarios):
        return None
    return Threat(
        "The rescue is certain by construction",
        "The server answers the second copy of a stalled request at once. A real server that stalls may stall on the "
        "copy too; what is measured is the hedger, not the odds of a hedge.",
    )


def _within_stalls(run: _Measured) -> Threat | None:
    """A claim about a quantile that lies among the requests that stall, of which all do or none once hedged."""
    for arm_name, claim in run.summary.claims():
        for name, strategy, named in CALL.findall(claim.expect):
            function, arm = FUNCTIONS.get(name), _arm_of(run.summary, named or arm_name)
            figures = arm.strategies.get(strategy) if arm is not None else None
            if function is None or function.measure is not LATENCY or function.quantile is None or figures is None:
                continue
            share = figures.stalled / figures.requests if figures.stalled and figures.requests else 0.0
            if not 1 - function.quantile < share < 1:
                continue
            within = 1 - (1 - function.quantile) / share
            place = "the median" if _MEDIAN[0] <= within <= _MEDIAN[1] else f"the P{100 * within:.0f}"
            label = format_figure(name)
            return Threat(
                "A quantile within the stalls",
                f"The {label} of {figures.requests} requests of which {figures.stalled} stall is {place} of those "
                "that stall: the effect of hedging on it is total by construction. At a quantile below the "
                f"{format_percent(1 - share)} that do not stall, or with fewer stalls, nothing of it would show.",
            )
    return None


def _arm_of(summary: Summary, name: str | None) -> ArmSummary | None:
    return next((arm for arm in summary.arms if arm.name == name), None)


def _of_fault(kind: type[Section]) -> _Rule:
    """The threat that faults of `kind` bring, wherever there is one."""

    def rule(run: _Measured) -> Threat | None:
        faults = (fault for scenario in run.scenarios for fault in scenario.faults if isinstance(fault, kind))
        return next((Threat(*fault.threat) for fault in faults if fault.threat is not None), None)

    return rule


def _one_host(run: _Measured) -> Threat | None:
    joined = "a Docker bridge" if run.manifest.backend == "docker" else "a bridge between network namespaces"
    return Threat(
        "One host, no network",
        f"Client, hedger and servers share one kernel and its CPUs, joined by {joined}: no network card, no switch, "
        "no competing traffic. Round trips are far shorter than between machines.",
    )


def _virtual(run: _Measured) -> Threat | None:
    if not run.manifest.host.get("hypervisor"):
        return None
    return Threat(
        "A virtual machine",
        "The hypervisor may take the CPU away at any time, which shows as lateness of the program that was to run. "
        "Maxima and P99.9 reflect host variability first of all.",
    )


def _busy(run: _Measured) -> Threat | None:
    noise = run.manifest.noise
    if noise is None or noise.late_1ms < _OFTEN_LATE:
        return None
    return Threat(
        "A noisy host",
        f"Before the run started, {noise.late_1ms:.1%} of this host's wake-ups were more than "
        f"a millisecond late (P99 {noise.lateness_us.p99 / 1000:.1f} ms). Every latency here may be too long "
        "by as much, tails most of all.",
    )


def _clock_set(run: _Measured) -> Threat | None:
    blocks = run.summary.clock_set
    if not blocks:
        return None
    most_ms = max(abs(block.by_ms) for block in blocks)
    return Threat(
        "A clock was set",
        f"CLOCK_REALTIME was set during {format_blocks(len(blocks))}, by up to {most_ms:.1f} ms. Latencies and "
        "latenesses go by CLOCK_MONOTONIC, which cannot be set; the time in the socket buffer is left out there, and "
        "comes from the other blocks alone.",
    )


def _queue(run: _Measured) -> Threat | None:
    if "queue" not in (run.summary.engine or "").split("+"):
        return None
    return Threat(
        "Another engine than published",
        "The published design holds back a clone of every request; here requests waited in a queue. "
        "scenarios/engines.yaml runs both side by side.",
    )


def _htb(run: _Measured) -> Threat | None:
    engines, lines = ((names or "").split("+") for names in (run.summary.engine, run.summary.delay_line))
    if "clone" not in engines or "htb" not in lines:
        return None
    return Threat(
        "Another delay line than published",
        "The published design holds requests in netem; HTB classes did it here. Both are tested against each other "
        "on stock kernels.",
    )


def _dirty(run: _Measured) -> Threat | None:
    git = run.manifest.git
    if git is not None and git.commit and not git.dirty:
        return None
    state = "had uncommitted changes" if git is not None and git.commit else "were not in a git checkout"
    return Threat("Sources not pinned", f"The sources {state}, so exactly the same code cannot be run again.")


def _one_run(_: _Measured) -> Threat | None:
    return Threat(
        "One run on one machine",
        "The intervals hold for this machine at that hour. Another machine is another experiment: run it there.",
    )


_RULES: tuple[_Rule, ...] = (
    _few_blocks,
    _closed,
    _healing,
    _within_stalls,
    *(_of_fault(kind) for kind in FAULT_KINDS),
    _one_host,
    _virtual,
    _busy,
    _clock_set,
    _queue,
    _htb,
    _dirty,
    _one_run,
)
