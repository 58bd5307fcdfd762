"""Where everything of a run is kept. The names are a contract: scripts and reviewers rely on them.

A folder is named after its scenario, the time in UTC and six random hex digits, so that names sort by time and two
runs of the same second do not meet.
"""

from __future__ import annotations

import re
import secrets
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.runfolder.safe_files import check_entries, chown_like

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.plan.blocks import Block

RUN_NAME = re.compile(r"(?P<scenario>[a-z0-9][a-z0-9-]*)-(?P<time>\d{8}T\d{6}Z)-(?P<token>[0-9a-f]{6})")


class RunFolder:
    """The paths of one run's files below `path`; nothing is read or written unless asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = path / "manifest.json"
        self.scenario = path / "scenario.yaml"
        self.samples = path / "samples.parquet"
        self.hedges = path / "hedges.parquet"
        self.server = path / "server.parquet"
        self.journal = path / "journal.jsonl"
        self.summary = path / "summary.json"
        self.report = path / "report.html"
        self.plots = path / "plots"
        self.checksums = path / "SHA256SUMS"
        self.log = path / "log.txt"
        self.raw = path.resolve() / "raw"  #: absolute: programs elsewhere write there

    @classmethod
    def create(cls, results: Path, scenario_name: str, now: datetime | None = None) -> RunFolder:
        """A new folder below `results` (made too if missing) for a run of `scenario_name` that begins `now`."""
        make_folder(results)
        folder = cls(results / run_name(scenario_name, now or datetime.now(UTC), secrets.token_hex(3)))
        with folder.removed_on_error():
            folder.raw.mkdir(parents=True)
            folder.plots.mkdir()
            folder.give_to_owner()
        return folder

    @contextmanager
    def removed_on_error(self) -> Iterator[None]:
        """Removes the folder where what is done inside fails: nothing was measured yet, so nothing is lost."""
        try:
            yield
        except OSError:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    @property
    def name(self) -> str:
        """The run's name, which is the folder's."""
        return self.path.resolve().name

    def raw_samples(self, block: Block) -> Path:
        """Where the client writes the samples of `block`."""
        return self._raw_file(block, "samples")

    def raw_copies(self, block: Block, replica: int = 0) -> Path:
        """Where the server `replica` writes the copies it received in `block`."""
        return self._raw_file(block, f"copies-{replica}")

    def raw_hedges(self, block: Block) -> Path:
        """Where the hedges that the kernel's tap saw in `block` are written."""
        return self._raw_file(block, "hedges")

    def set_aside(self, block: Block, serial: int) -> None:
        """Keep what an attempt at `block` left, whose number was `serial`, out of the tables; it goes with them."""
        aside = self.raw / f"discarded-{serial}"
        aside.mkdir()
        for path in self.raw.glob(f"{self._raw_file(block, '*').name}"):
            path.rename(aside / path.name)

    def give_to_owner(self) -> None:
        """Give the folder and everything in it to the owner of its parent, where a run as root made them."""
        parent = self.path.resolve().parent
        for path in (self.path, *self.path.rglob("*")):
            chown_like(path, parent)

    def _raw_file(self, block: Block, kind: str) -> Path:
        return self.raw / f"{block.order:03d}-{block.strategy}-{block.number:02d}.{kind}"


def run_name(scenario_name: str, now: datetime, token: str) -> str:
    """The name of a run: scenario, UTC time to the second, and `token` (six hex digits)."""
    return f"{scenario_name}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{token}"


def list_runs(results: Path) -> Iterator[RunFolder]:
    """The run folders in `results`, oldest first; none where there is no such folder."""
    if results.is_dir():
        folders = [path for path in results.iterdir() if path.is_dir() and RUN_NAME.fullmatch(path.name)]
        for path in sorted(folders, key=_by_time):
            yield RunFolder(path)


def find_run(results: Path, wanted: str) -> RunFolder:
    """The run that `wanted` names: "last", a path, a name in `results`, or a beginning or end that only one run has.

    Raises UsageError where there is none or more than one, RunError where it holds links.
    """
    found = _find_run(results, wanted)
    check_entries(found.path)
    return found


def _find_run(results: Path, wanted: str) -> RunFolder:
    runs = list(list_runs(results))
    if wanted == "last":
        if not runs:
            raise UsageError(f"there is no run in {results}", "run a scenario first, or use --results")
        return runs[-1]
    if "/" in wanted or (Path(wanted).is_dir() and RUN_NAME.fullmatch(wanted)):
        if not Path(wanted).is_dir():
            raise UsageError(f"{wanted} is not a folder", "check the path")
        return RunFolder(Path(wanted))
    found = [run for run in runs if run.name == wanted] or [
        run for run in runs if run.name.startswith(wanted) or run.name.endswith(wanted)
    ]
    if len(found) > 1:
        names = ", ".join(run.name for run in found)
        raise UsageError(f"{wanted} fits {len(found)} runs: {names}", "write more of the name")
    if not found:
        raise UsageError(f"no run in {results} is called {wanted}", "see orchestrator ls, or name the folder's path")
    return found[0]


def _by_time(path: Path) -> tuple[str, str]:
    match = RUN_NAME.fullmatch(path.name)
    return (match["time"] if match else "", path.name)


def make_folder(path: Path) -> None:
    """Make the folder `path` and what is missing above it; each belongs to the owner of the folder it lies in."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(missing):
        chown_like(folder, folder.parent)
