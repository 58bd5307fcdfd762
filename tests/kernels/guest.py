"""What a guest left on the host: the steps of guest-tests.sh, and the tables of the runs it made."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from hedgerow_node.records import FIRST_WARMUP_ID
from kernels.machine import Ending, Outcome
from kernels.written_down import left

if TYPE_CHECKING:
    from pathlib import Path

    from kernels.written_down import Figures

OUTCOME = "outcome.json"
"""Beside the steps: how the machine ended, written on the host."""
_TAIL_LINES = 60


@dataclass(frozen=True)
class Step:
    """One step of the guest's script; `exit_code` is None if the guest never got to its end."""

    exit_code: int | None
    log: str

    def __str__(self) -> str:
        """The end of what it printed, as a failed test shows it."""
        return "\n".join([f"exit code {self.exit_code}", *self.log.splitlines()[-_TAIL_LINES:]])


class Guest:
    """A machine that has ended, by the folder it wrote to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        stored = json.loads((folder / OUTCOME).read_text())
        self.outcome = Outcome(**{**stored, "ending": Ending(stored["ending"])})

    def step(self, name: str) -> Step:
        """The step called `name`."""
        code, log = self._folder / f"{name}.exit", self._folder / f"{name}.log"
        return Step(
            exit_code=int(code.read_text()) if code.exists() else None,
            log=log.read_text(errors="replace") if log.exists() else "",
        )

    def figures(self, kind: str) -> Figures:
        """What its tests left of a kind of figures; see `written_down`."""
        return left(self._folder, kind)

    @cache  # noqa: B019 -- a guest lives as long as the tests
    def run(self) -> SmokeRun:
        """The one run folder that smoke left, analysed on this host."""
        (folder,) = (self._folder / "results").iterdir()
        command = [sys.executable, "-m", "orchestrator", "analyze", str(folder), "--no-report"]
        analysed = subprocess.run(command, capture_output=True, text=True, check=False)
        # 1 and 3 are verdicts on claims; which claims have to hold is asked by a test of its own.
        assert analysed.returncode in (0, 1, 3), analysed.stderr
        return SmokeRun(folder)


class SmokeRun:
    """The parts of a run folder that tell what the kernel did with the measured requests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def summary(self) -> dict[str, Any]:
        """summary.json."""
        return self._json("summary.json")

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """manifest.json."""
        return self._json("manifest.json")

    @cached_property
    def requests(self) -> dict[int, dict[str, Any]]:
        """The client's samples of the strategy kernel by request id."""
        return {row["request_id"]: row for row in self._rows("samples.parquet")}

    @cached_property
    def hedges(self) -> list[dict[str, Any]]:
        """The hedges of the strategy kernel."""
        return self._rows("hedges.parquet")

    @cached_property
    def copies(self) -> list[dict[str, Any]]:
        """Every copy of a request of the strategy kernel that reached the server."""
        return self._rows("server.parquet")

    def _rows(self, name: str) -> list[dict[str, Any]]:
        import pyarrow.parquet as pq  # noqa: PLC0415 -- guests load this module too, and there it takes seconds

        rows: list[dict[str, Any]] = pq.read_table(self._folder / name).to_pylist()
        return [row for row in rows if row["strategy"] == "kernel" and row["request_id"] < FIRST_WARMUP_ID]

    def _json(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self._folder / name).read_text())
        return content
