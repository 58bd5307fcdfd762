"""index.html: all runs of a results folder on one page, the latest first, each with its verdict and its report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.collect.folder import RUN_NAME, RunFolder, list_runs
from orchestrator.report.html import environment


@dataclass(frozen=True)
class Entry:
    """One run; `summary` is None where it did not finish or its summary is torn."""

    folder: RunFolder
    scenario: str
    time: str
    summary: dict[str, Any] | None

    @property
    def link(self) -> str | None:
        """The report relative to the results folder, None where there is none."""
        return f"{self.folder.name}/{self.folder.report.name}" if self.folder.report.exists() else None


def entries(results: Path) -> list[Entry]:
    """The runs in `results`, the latest first."""
    return [_entry(folder) for folder in reversed(list(list_runs(results)))]


def write_index(results: Path) -> Path:
    """Write index.html into `results` and return its path."""
    path = results / "index.html"
    path.write_text(environment().get_template("index.html.j2").render(entries=entries(results)))
    return path


def _entry(folder: RunFolder) -> Entry:
    match = RUN_NAME.fullmatch(folder.name)
    scenario, time = (match["scenario"], match["time"]) if match else (folder.name, "")
    if time:
        time = f"{time[:4]}-{time[4:6]}-{time[6:8]} {time[9:11]}:{time[11:13]} UTC"
    try:
        summary = json.loads(folder.summary.read_text())
    except (OSError, ValueError):
        summary = None
    return Entry(folder, scenario, time, summary)
