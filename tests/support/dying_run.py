"""Runs whose path a test closes while they last; they must fail in time, and say what to look for."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

from support.fault_run import no_longer_than_this
from support.scenario_files import start_run, wait_for

if TYPE_CHECKING:
    from pathlib import Path

#: Of a run that would last for minutes.
ENDLESS = {"requests": 40_000, "think": "1ms", "timeout": "400ms"}
#: Three attempts, each of a few time-outs, and a host that is busy.
BOUND_S = 40


class DyingRun:
    """A run of `scenario` in the folder `results`, which is its own."""

    def __init__(self, scenario: Path, results: Path, backend: str = "netns") -> None:
        self.process = start_run(scenario, results, "--json", "--no-report", backend=backend)
        wait_for(lambda: results.exists() and any(results.iterdir()), "a run folder", self.process)
        (self.folder,) = results.iterdir()
        self.token = self.folder.name.rsplit("-", 1)[1]

    def wait_for_block(self, number: int) -> None:
        """Until that block has begun, counted from 0."""
        wait_for(lambda: len(self.events("block")) > number, f"block {number}", self.process)

    def close_by(self, *command: str) -> None:
        """Close the path by this command."""
        subprocess.run(command, check=True, capture_output=True)
        self.closed_s = time.monotonic()

    def end(self) -> dict[str, Any]:
        """The error; the run must have failed in time."""
        with no_longer_than_this(self.process):
            output, errors = self.process.communicate(timeout=BOUND_S)
        self.took_s = time.monotonic() - self.closed_s
        print(f"{self.took_s:.1f} s: {errors}")
        assert self.process.returncode == 5, errors
        error: dict[str, Any] = json.loads(output)["error"]
        assert "firewall" in error["remedy"]
        # Where the client's own link is down, the kernel may refuse even to open a socket: that is not tried again.
        assert "in 3 attempts" in error["message"] or "unreachable" in error["message"]
        return error

    def assert_ended_in_the_first_warm_up(self, *, reached: bool) -> None:
        """That nothing was measured; `reached` says whether requests came to the servers."""
        message, manifest = self.end()["message"], self.manifest()
        assert "block 0 (" in message
        assert "no answer to any of" in message
        assert "warm-up requests" in message
        assert ("servers were reached" if reached else "requests do not reach the servers") in message
        assert manifest["blocks"] == []
        assert [entry["attempt"] for entry in manifest["discarded"]] == [1, 2, 3]
        assert manifest["status"].startswith("failed: block 0")

    def events(self, name: str) -> list[dict[str, Any]]:
        """The journal's records so far of that kind."""
        journal = self.folder / "journal.jsonl"
        lines = journal.read_text().splitlines() if journal.exists() else []
        records = [json.loads(line) for line in lines if line.endswith("}")]
        return [record for record in records if record["event"] == name]

    def manifest(self) -> dict[str, Any]:
        """Once the run is over."""
        content: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text())
        return content
