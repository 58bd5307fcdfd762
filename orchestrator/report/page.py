"""What the report's page shows, gathered from a run folder: the template only lays it out.

Everything comes from the folder: summary, manifest, scenario, journal, plots. A year later, on another machine, the
page is the same.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hedgerow_node.units import NS_PER_S
from orchestrator.report import figures, plots
from orchestrator.report.inline_svg import inline
from orchestrator.report.meanwhile import meanwhile
from orchestrator.report.threats import Threat, threats
from orchestrator.runfolder.format_versions import read_json
from orchestrator.runfolder.journal import FaultRecord, read_fault_log
from orchestrator.scenario.load import load_recorded

if TYPE_CHECKING:
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.scenario.experiment import Experiment

LATENCIES = ("p50", "p95", "p99", "p999", "max")


@dataclass(frozen=True)
class Picture:
    """A plot ready to stand in the page."""

    name: str
    title: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Part:
    """The figures of one arm, or of the whole scenario where it has none (`name` None)."""

    name: str | None
    anchor: str
    changes: dict[str, Any]
    arrivals: str
    strategies: dict[str, dict[str, Any]]
    comparisons: list[dict[str, Any]]
    control: dict[str, Any] | None
    claims: list[dict[str, Any]]
    pictures: list[Picture]

    @classmethod
    def of(cls, name: str | None, anchor: str, figures_: dict[str, Any], pictures: list[Picture]) -> Part:
        """From an arm's entry in the summary, or from the summary itself."""
        kept = {key: figures_[key] for key in ("strategies", "comparisons", "control", "claims")}
        return cls(name, anchor, figures_.get("set", {}), figures_["arrivals"], **kept, pictures=pictures)


@dataclass(frozen=True)
class Strike:
    """One occurrence of a fault as it was carried out in one block."""

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

    summary: dict[str, Any]
    manifest: dict[str, Any]
    experiment: Experiment
    headline: str
    parts: list[Part]
    pictures: list[Picture]
    folded: bool
    strikes: list[Strike]
    threats: list[Threat]
    command: str
    scenario_text: str
    environment: list[tuple[str, str]]
    meanwhile: list[tuple[str, str]]


def gather(folder: RunFolder) -> Page:
    """The page of the run in `folder`; RunError where the folder lacks summary or manifest."""
    remedy = f"orchestrator analyze {folder.path} makes it anew"
    summary, manifest = read_json(folder.summary, remedy), read_json(folder.manifest, remedy)
    experiment = load_recorded(folder.scenario)
    parts = list(_parts(folder, summary))
    drawn = {picture.name for part in parts for picture in part.pictures}
    return Page(
        summary=summary,
        manifest=manifest,
        experiment=experiment,
        headline=headline(summary),
        parts=parts,
        pictures=[picture for picture in _pictures(folder, None, "") if picture.name not in drawn],
        folded=bool(experiment.matrix),
        strikes=list(_strikes(folder)),
        threats=threats([arm.scenario for arm in experiment.arms], manifest, summary),
        command=command(manifest),
        scenario_text=folder.scenario.read_text(encoding="utf-8"),
        environment=list(_environment(manifest)),
        meanwhile=meanwhile(manifest),
    )


def headline(summary: dict[str, Any]) -> str:
    """What became of the claims, in a sentence that names those that did not hold."""
    arms = [(arm["name"], arm["claims"]) for arm in summary.get("arms", ())]
    claims = [(arm, claim) for arm, made in [*arms, (None, summary["claims"])] for claim in made]
    if not claims:
        return "This scenario claims nothing."
    if summary["verdict"] == "supported":
        return "The only claim is supported." if len(claims) == 1 else f"All {len(claims)} claims are supported."
    told = []
    for verdict, word in (("refuted", "refuted"), ("inconclusive", "undecided")):
        names = [
            f"{claim['id']} in {arm}" if arm else claim["id"] for arm, claim in claims if claim["verdict"] == verdict
        ]
        if names:
            told.append(f"{len(names)} of {len(claims)} {word}: {', '.join(names)}.")
    return " ".join(told)


def command(manifest: dict[str, Any]) -> str:
    """The command line that made the run, as one pastes it into a shell."""
    words = list(manifest.get("command") or [])
    if "--results" in words[:-1]:  # where somebody else kept theirs
        at = words.index("--results")
        del words[at : at + 2]
    return shlex.join([f".venv/bin/{words[0]}", *words[1:]]) if words else ""


def _parts(folder: RunFolder, summary: dict[str, Any]) -> Iterator[Part]:
    if "arms" not in summary:
        yield Part.of(None, "", summary, list(_pictures(folder, None, "")))
        return
    endings = plots.file_endings(arm["name"] for arm in summary["arms"])
    for arm in summary["arms"]:
        ending = endings[arm["name"]]
        pictures = list(_pictures(folder, arm["name"], ending))
        yield Part.of(arm["name"], f"arm{ending}", arm, pictures)


def _pictures(folder: RunFolder, arm: str | None, ending: str) -> Iterator[Picture]:
    """The plots of an arm, or those of the whole run, in the order of the table."""
    for plot in plots.PLOTS:
        stem = f"{plot.name}{ending}"
        path = folder.plots / f"{stem}.svg"
        if path.exists():
            title = plot.title if arm is None else f"{plot.title}: {arm}"
            svg = inline(path.read_text(encoding="utf-8"), stem, f"{title}. {plot.caption}")
            yield Picture(stem, title, plot.caption, svg)


def _strikes(folder: RunFolder) -> Iterator[Strike]:
    """The fault records of the journal, but for those of discarded blocks."""
    for record in read_fault_log(folder.journal).records:
        yield _strike(record)


def _strike(record: FaultRecord) -> Strike:
    applied_ns, undone_ns, planned_ns = record.applied_ns, record.undone_ns, record.planned_ns
    planned = f"at {_seconds(planned_ns - record.start_ns)}"
    if record.planned_until_ns is not None:
        planned += f" for {_seconds(record.planned_until_ns - planned_ns)}"
    return Strike(
        block=f"{record.arm}, " * (record.arm is not None) + f"{record.strategy}, block {record.block}",
        fault=record.fault,
        target=record.target,
        planned=planned,
        began_late=figures.NONE if applied_ns is None else figures.micros((applied_ns - planned_ns) / 1_000),
        lasted=figures.NONE if applied_ns is None or undone_ns is None else _seconds(undone_ns - applied_ns),
        proof=_spoken(record.proof),
        proven=record.proven,
    )


def _seconds(duration_ns: int) -> str:
    return f"{duration_ns / NS_PER_S:.3f} s"


def _environment(manifest: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for section in ("host", "versions", "noise"):
        for name, value in (manifest.get(section) or {}).items():
            yield f"{section}: {name.replace('_', ' ')}", _spoken(value)
    for name in ("backend", "engine", "delay_line", "started_at", "finished_at", "seeds"):
        yield name.replace("_", " "), _spoken(manifest.get(name))
    git = manifest.get("git") or {}
    yield "git commit", f"{git.get('commit') or 'unknown'}{' (with uncommitted changes)' if git.get('dirty') else ''}"


def _spoken(value: Any) -> str:
    if value is None or value == []:
        return "not told"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_spoken(item)}" for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_spoken(item) for item in value)
    return str(value)
