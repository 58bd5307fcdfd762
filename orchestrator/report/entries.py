"""The runs of a results folder, one entry each, for those who list them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.errors import RunError
from orchestrator.runfolder.folder import RUN_NAME, RunFolder, list_runs
from orchestrator.runfolder.format_versions import read_json

if TYPE_CHECKING:
    from pathlib import Path

VERDICTS = ("supported", "refuted", "inconclusive")


@dataclass(frozen=True)
class Entry:
    """One run; `summary` is None where it did not finish or its summary is torn, `manifest` is then all there is."""

    folder: RunFolder
    scenario: str
    began: datetime | None
    summary: dict[str, Any] | None
    manifest: dict[str, Any]

    @property
    def time(self) -> str:
        """When it began, to the minute; empty where the folder's name does not say."""
        return "" if self.began is None else f"{self.began:%Y-%m-%d %H:%M} UTC"

    @property
    def state(self) -> str:
        """The verdict in a word, or why there is none."""
        if self.summary is None:
            return "unreadable" if self.folder.summary.exists() else "unfinished"
        return self.summary.get("verdict") or "no claims"

    @property
    def claims(self) -> dict[str, int]:
        """How many claims there are of each verdict that occurs, those of all arms together."""
        summary = self.summary or {}
        found = [*summary.get("claims", []), *(claim for arm in summary.get("arms", []) for claim in arm["claims"])]
        counts = {verdict: sum(claim["verdict"] == verdict for claim in found) for verdict in VERDICTS}
        return {verdict: count for verdict, count in counts.items() if count}

    @property
    def link(self) -> str | None:
        """The report relative to the results folder, None where there is none."""
        return f"{self.folder.name}/{self.folder.report.name}" if self.folder.report.exists() else None

    def told(self, key: str) -> str | None:
        """What summary, or else manifest, says of `key`, e.g. the backend."""
        return (self.summary or self.manifest).get(key)

    def as_json(self) -> dict[str, Any]:
        """What `ls --json` prints."""
        return {
            "run": self.folder.name,
            "scenario": self.scenario,
            "time": None if self.began is None else self.began.isoformat(),
            "state": self.state,
            "verdict": None if self.summary is None else self.summary.get("verdict"),
            "claims": {verdict: self.claims.get(verdict, 0) for verdict in VERDICTS},
            **{key: self.told(key) for key in ("backend", "engine", "delay_line")},
        }


def entries(results: Path) -> list[Entry]:
    """The runs in `results`, oldest first."""
    return [entry_of(folder) for folder in list_runs(results)]


def entry_of(folder: RunFolder) -> Entry:
    """What is known of the run in `folder`."""
    match = RUN_NAME.fullmatch(folder.name)
    began = None if match is None else datetime.strptime(match["time"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    scenario = folder.name if match is None else match["scenario"]
    return Entry(folder, scenario, began, _mapping(folder.summary), _mapping(folder.manifest) or {})


def _mapping(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file, None where there is none, or none that this version reads."""
    try:
        return read_json(path, "")
    except RunError:
        return None
