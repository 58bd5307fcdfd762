"""report.html: the claims and verdicts of a run, its figures and plots, threats to validity, and the environment.

Everything comes from the run folder: summary, manifest, scenario, journal, plots.
The content is gathered here; the template only lays it out.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hedgerow_node.units import NS_PER_US
from orchestrator.report import plots
from orchestrator.report.formatting import NONE, UNKNOWN, format_micros, format_seconds, format_value, in_arm
from orchestrator.report.gain import gain_and_cost
from orchestrator.report.html import picture, render
from orchestrator.report.listing import tried_before
from orchestrator.report.threats import Threat, control_note, threats
from orchestrator.report.view import (
    Section,
    View,
    comparison_table,
    headline,
    hedge_table,
    latency_table,
    lateness_table,
    without_empty_columns,
)
from orchestrator.runfolder.codec import encode_object
from orchestrator.runfolder.command import without_path_options
from orchestrator.runfolder.safe_files import replace_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from markupsafe import Markup

    from orchestrator.report.listing import Entry
    from orchestrator.report.plots import Drawn
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.runfolder.journal import FaultRecord
    from orchestrator.runfolder.manifest import Manifest
    from orchestrator.runfolder.observed import Activity, ActivityDifferences
    from orchestrator.runfolder.run import Run
    from orchestrator.runfolder.summary import ArmSummary, Summary
    from orchestrator.scenario.experiment import Experiment

_US_PER_S = 1e6
#: The times that /proc/stat counts but for those of guests, which it counts twice.
_CPU_TIMES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_LOSSES = {
    "received_dropped": "received and dropped",
    "transmitted_dropped": "dropped in sending",
    "received_errors": "received with errors",
    "transmitted_errors": "sent with errors",
}
_UDP_LOSSES = {"RcvbufErrors": "socket buffer full", "InCsumErrors": "wrong checksum", "InErrors": "other errors"}


@dataclass(frozen=True)
class Picture:
    """A plot ready to stand in the page."""

    name: str
    title: str
    caption: str
    svg: Markup


@dataclass(frozen=True)
class Part:
    """The figures of one arm, or of the whole scenario where it has none."""

    arm: ArmSummary
    anchor: str
    tables: tuple[Section, ...]
    comparisons: Section
    control: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Occurrence:
    """A fault as it was carried out in one block."""

    block: str
    fault: str
    target: str
    planned: str
    began_late: str
    lasted: str
    proof: str
    proven: bool


@dataclass(frozen=True)
class Page:
    """All that the template needs; `folded` where the parts are points of a sweep, which the sweep's plot sums up."""

    summary: Summary
    manifest: Manifest
    experiment: Experiment
    headline: str
    gains: tuple[str, ...]
    tried: tuple[Entry, ...]
    parts: tuple[Part, ...]
    pictures: tuple[Picture, ...]
    folded: bool
    has_weak: bool
    occurrences: tuple[Occurrence, ...]
    threats: list[Threat]
    command: str
    scenario_text: str
    environment: list[tuple[str, str]]
    host_activity: list[tuple[str, str]]


def write_report(run: Run, drawn: Sequence[Drawn] = ()) -> None:
    """Write report.html of `run` with the plots that were `drawn`; RunError where its folder lacks what it shows."""
    replace_text(run.folder.report, render("report.html.j2", page=gather(run, drawn)))


def gather(run: Run, drawn: Sequence[Drawn] = ()) -> Page:
    """The page of `run`; RunError where its folder lacks summary or manifest.

    What stands in plots/ but was not `drawn` now may be of anybody, and does not get into the page.
    """
    parts = tuple(_parts(run.summary, run.folder, drawn))
    folder, summary, manifest, experiment = run.folder, run.summary, run.manifest, run.experiment
    return Page(
        summary=summary,
        manifest=manifest,
        experiment=experiment,
        headline=headline(summary),
        gains=tuple(gain_and_cost(summary)),
        tried=tuple(tried_before(run)),
        parts=parts,
        has_weak=View([section for part in parts for section in part.tables]).has_weak,
        pictures=tuple(_picture(found, folder) for found in drawn if not found.plot.per_arm),
        folded=bool(summary.matrix),
        occurrences=tuple(_occurrence(record) for record in run.fault_log.records),
        threats=threats([arm.scenario for arm in experiment.arms], manifest, summary),
        command=command(manifest),
        scenario_text=folder.scenario.read_text(encoding="utf-8"),
        environment=list(_environment(manifest)),
        host_activity=host_activity(manifest),
    )


def command(manifest: Manifest) -> str:
    """The command line that made the run, quoted for a shell; without where its author keeps results."""
    words = without_path_options(manifest.command)
    return shlex.join([f".venv/bin/{words[0]}", *words[1:]]) if words else ""


def host_activity(manifest: Manifest) -> list[tuple[str, str]]:
    """What else the host did during the run, as names and texts; empty for a run that did not end.

    manifest.json has some hundred counters. Listed are those of possible disturbances: CPU time taken by the
    hypervisor, waiting for a CPU, heat, lost packets, settings that changed during the run.
    """
    around = manifest.environment
    if around.before is None or around.after is None or around.differences is None:
        return []
    lines = _host_activity(around.before, around.after, around.differences)
    return [(name, words) for name, words in lines if words]


def _host_activity(before: Activity, after: Activity, found: ActivityDifferences) -> Iterator[tuple[str, str]]:
    yield "measured for", f"{found.duration_s:.0f} s"
    yield "load average", _change(_load(before), _load(after))
    spent_ms = found.cpu_time_ms or {}
    total_ms = sum(spent_ms.get(kind, 0) for kind in _CPU_TIMES)
    if total_ms:
        yield "CPUs idle", f"{spent_ms['idle'] / total_ms:.0%} of the time"
        yield "CPU time taken by the hypervisor", f"{spent_ms['steal'] / total_ms:.1%}"
    waited_us = (found.pressure_us.get("cpu") or {}).get("some")
    if waited_us is not None:
        yield "something waited for a CPU", f"{waited_us / _US_PER_S / found.duration_s:.1%} of the time (PSI)"
    throttles = found.thermal_throttles
    yield "slowed down by heat", _times(None if throttles is None else sum(throttles.values()))
    yield "stopped by a CPU quota", _times(found.throttled_periods)
    yield "packets lost at the client's interface", _losses(found.interface.statistics, _LOSSES)
    yield "datagrams lost in the client's namespace", _losses(found.interface.udp, _UDP_LOSSES)
    changed = [f"{key}: {_change(str(was), str(now))}" for key, (was, now) in found.settings_changed.items()]
    yield "settings that changed", "; ".join(changed) or "none, of sysctls, CPU governors and offloads"


def _load(observed: Activity) -> str:
    return f"{observed.load_average[0]:.2f}" if observed.load_average else UNKNOWN


def _change(before: str, after: str) -> str:
    return f"{before} before, {after} after"


def _times(count: int | None) -> str:
    return "" if count is None else f"{count} times"


def _losses(counters: Mapping[str, int], names: Mapping[str, str]) -> str:
    if not counters:
        return ""
    return ", ".join(f"{counters[key]} {words}" for key, words in names.items() if counters.get(key)) or "none"


def _parts(summary: Summary, folder: RunFolder, drawn: Sequence[Drawn]) -> Iterator[Part]:
    endings = plots.file_endings(arm.name for arm in summary.arms)
    for arm in summary.arms:
        ending = endings[arm.name]
        yield Part(
            arm,
            anchor=f"arm{ending}",
            tables=tuple(
                without_empty_columns(table)
                for table in (latency_table(arm, full=True), hedge_table(arm, full=True), lateness_table(arm))
            ),
            comparisons=without_empty_columns(comparison_table(arm)),
            control="" if arm.control is None else control_note(arm.control),
            pictures=tuple(_picture(one, folder) for one in drawn if one.plot.per_arm and one.arm == arm.name),
        )


def _picture(drawn: Drawn, folder: RunFolder) -> Picture:
    plot = drawn.plot
    title = plot.title if drawn.arm is None else f"{plot.title}: {drawn.arm}"
    svg = picture(folder.plots / f"{drawn.name}.svg", f"{title}. {plot.caption}")
    return Picture(drawn.name, title, plot.caption, svg)


def _occurrence(record: FaultRecord) -> Occurrence:
    applied_ns, undone_ns, planned_ns = record.applied_ns, record.undone_ns, record.planned_ns
    planned = f"at {format_seconds(planned_ns - record.start_ns)}"
    if record.planned_until_ns is not None:
        planned += f" for {format_seconds(record.planned_until_ns - planned_ns)}"
    return Occurrence(
        block=in_arm(record.arm, f"{record.strategy}, block {record.block}"),
        fault=record.fault,
        target=record.target,
        planned=planned,
        began_late=NONE if applied_ns is None else format_micros((applied_ns - planned_ns) / NS_PER_US),
        lasted=NONE if applied_ns is None or undone_ns is None else format_seconds(undone_ns - applied_ns),
        proof=format_value(record.proof),
        proven=record.proven,
    )


def _environment(manifest: Manifest) -> Iterator[tuple[str, str]]:
    noise = {} if manifest.noise is None else encode_object(manifest.noise)
    for section, facts in (("host", manifest.host), ("versions", manifest.versions), ("noise", noise)):
        for name, value in facts.items():
            yield f"{section}: {name.replace('_', ' ')}", format_value(value)
    for name in ("backend", "engine", "delay_line", "started_at", "finished_at", "seeds"):
        yield name.replace("_", " "), format_value(getattr(manifest, name))
    git = manifest.git
    commit = UNKNOWN if git is None or not git.commit else git.commit
    yield "git commit", f"{commit}{' (with uncommitted changes)' if git is not None and git.dirty else ''}"
