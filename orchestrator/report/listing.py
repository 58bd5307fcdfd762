"""The list of the runs in a results folder, for `ls` and for index.html."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from textwrap import shorten
from typing import TYPE_CHECKING

from orchestrator.errors import RunError
from orchestrator.report.view import Row, Section, View
from orchestrator.runfolder.folder import RUN_NAME, RunFolder, list_runs
from orchestrator.runfolder.manifest import Manifest
from orchestrator.runfolder.safe_files import check_entries, replace_text
from orchestrator.runfolder.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchestrator.runfolder.codec import JsonObject
    from orchestrator.runfolder.run import Run

VERDICTS = ("supported", "refuted", "inconclusive")
_SHORT = 60  #: letters of a problem in the table; index.html and --json have the whole
_HEADER = ("scenario", "time", "verdict", "claims", "backend", "run")


@dataclass(frozen=True)
class Entry:
    """One run; `summary` is None where the run did not finish or its summary cannot be read.

    `problem` says what is wrong with the folder; empty where nothing is.
    """

    folder: RunFolder
    scenario: str
    began: datetime | None
    summary: Summary | None
    manifest: Manifest
    problem: str = ""

    @property
    def time(self) -> str:
        """When it began, to the minute; empty where the folder's name does not say."""
        return "" if self.began is None else f"{self.began:%Y-%m-%d %H:%M} UTC"

    @property
    def state(self) -> str:
        """The verdict, or why there is none."""
        if self.summary is None:
            return "unreadable" if self.problem else "unfinished"
        return self.summary.verdict or "no claims"

    @property
    def claims(self) -> dict[str, int]:
        """How many claims there are of each verdict that occurs, those of all arms together."""
        counts = Counter[str](claim.verdict for _, claim in self.summary.claims()) if self.summary else Counter[str]()
        return {verdict: counts[verdict] for verdict in VERDICTS if counts[verdict]}

    @property
    def link(self) -> str | None:
        """The report relative to the results folder, None where there is none."""
        try:
            found = self.folder.report.is_file()
        except OSError:
            return None
        return f"{self.folder.name}/{self.folder.report.name}" if found else None

    @property
    def backend(self) -> str | None:
        """The backend, as far as it is known."""
        return (self.summary or self.manifest).backend

    @property
    def engine(self) -> str | None:
        """The kernel engine, as far as it is known."""
        return (self.summary or self.manifest).engine

    def as_json(self) -> JsonObject:
        """What `ls --json` prints."""
        return {
            "run": self.folder.name,
            "scenario": self.scenario,
            "time": None if self.began is None else self.began.isoformat(),
            "state": self.state,
            "verdict": None if self.summary is None else self.summary.verdict,
            "claims": {verdict: self.claims.get(verdict, 0) for verdict in VERDICTS},
            "backend": self.backend,
            "engine": self.engine,
            "delay_line": (self.summary or self.manifest).delay_line,
            **({"problem": self.problem} if self.problem else {}),
        }


def entries(results: Path) -> list[Entry]:
    """The runs in `results`, oldest first."""
    return [entry_of(folder) for folder in list_runs(results)]


def tried_before(run: Run) -> list[Entry]:
    """The earlier runs of the same scenario, by its hash, in the folder that `run` lies in, oldest first."""
    fixed = run.manifest.scenario_sha256
    if fixed is None:
        return []
    found = []
    for folder in list_runs(run.folder.path.resolve().parent):
        if folder.name == run.name:
            break
        entry = entry_of(folder) if folder.name.startswith(f"{run.manifest.scenario}-") else None
        if entry is not None and entry.manifest.scenario_sha256 == fixed:
            found.append(entry)
    return found


def entry_of(folder: RunFolder) -> Entry:
    """The entry of the run in `folder`, from what can be read there."""
    match = RUN_NAME.fullmatch(folder.name)
    scenario = folder.name if match is None else match["scenario"]
    began, manifest, summary, problems = None, Manifest(), None, []
    try:
        if match is not None:
            began = datetime.strptime(match["time"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        problems.append("its name has an impossible date")
    try:
        check_entries(folder.path)
        if folder.manifest.exists():
            manifest = Manifest.read(folder.manifest)
    except (RunError, OSError) as error:
        problems.append(str(error))
    try:
        if not problems and folder.summary.exists():
            summary = Summary.read(folder.summary)
    except (RunError, OSError) as error:
        problems.append(str(error))
    return Entry(folder, scenario, began, summary, manifest, "; ".join(problems).replace(f"{folder.path}/", ""))


def view(listed: Sequence[Entry]) -> View:
    """A table with a row for each of `listed`."""
    return View([Section("", _HEADER, [Row(_cells(entry)) for entry in listed], left=len(_HEADER))])


def _cells(entry: Entry) -> list[str]:
    claims = ", ".join(f"{count} {verdict}" for verdict, count in entry.claims.items())
    if entry.summary is not None and entry.summary.accepted_changes:
        claims += ", changed after it was measured"
    if entry.problem:
        claims = shorten(entry.problem, _SHORT, placeholder=" …")
    return [entry.scenario, entry.time, entry.state, claims, entry.backend or "", entry.folder.name]


def write_index(results: Path) -> Path:
    """Write index.html over the runs in `results`, the latest first, and return its path."""
    from orchestrator.report.html import render  # noqa: PLC0415 (`ls` needs no templates)

    path = results / "index.html"
    replace_text(path, render("index.html.j2", entries=entries(results)[::-1]))
    return path
