"""manifest.json: what was run, where, with which versions, and how it ended."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.host.observe.provenance import provenance
from orchestrator.runfolder.format_versions import FORMAT_VERSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.plan.blocks import Block
    from orchestrator.run.block import Attempt, BlockReport
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.scenario.experiment import Experiment


class Manifest:
    """Written when a run begins and again whenever something is added, so that a killed run has one too."""

    def __init__(self, folder: RunFolder, experiment: Experiment, backend: str) -> None:
        self._folder = folder
        scenario = experiment.scenario
        self._content: dict[str, Any] = {
            "schema": FORMAT_VERSIONS[folder.manifest.name],
            "run": folder.name,
            "scenario": experiment.name,
            "backend": backend,
            "engine": None,
            "delay_line": None,
            "status": "unfinished",
            "started_at": _now(),
            "finished_at": None,
            "seeds": {"workload": scenario.workload.seed, "design": scenario.design.seed},
            **asdict(provenance()),
            "container_engine": None,
            "noise": None,
            "environment": {"before": None, "after": None, "differences": None},
            "arms": [],
            "counters": {},
            "blocks": [],
            "discarded": [],
        }
        self._write()

    def set(self, **entries: Any) -> None:
        """Adds or replaces entries."""
        self._content.update(entries)
        self._write()

    def add_arm(self, name: str | None, engine: str, delay_line: str) -> None:
        """How requests of an arm are hedged; for all arms together the entries on top name each that there was."""
        if name is not None:
            self._content["arms"].append({"name": name, "engine": engine, "delay_line": delay_line})
        for entry, value in (("engine", engine), ("delay_line", delay_line)):
            before = self._content[entry]
            known = before.split("+") if before else []
            self._content[entry] = before if value in known else "+".join([*known, value])
        self._write()

    def add_block(self, attempt: Attempt, report: BlockReport) -> None:
        """Adds what a block gave; the counters add up by strategy. Written with the next `set`."""
        block = attempt.block
        name = block.strategy if block.arm is None else f"{block.strategy}@{block.arm}"
        totals = self._content["counters"].setdefault(name, {})
        for counter, value in report.counters.items():
            totals[counter] = totals.get(counter, 0) + value
        self._content["blocks"].append(
            {
                **_place(block),
                "serial": attempt.serial,
                "attempt": attempt.number,
                "start_ns": report.start_ns,
                "client": {
                    key: value for key, value in report.client.items() if key not in ("event", "strategy", "block")
                },
                "servers": report.servers,
            }
        )

    def add_discarded(self, attempt: Attempt, reasons: Sequence[str]) -> None:
        """Adds an attempt that enters no figure, and why."""
        self._content["discarded"].append(
            {**_place(attempt.block), "serial": attempt.serial, "attempt": attempt.number, "reasons": list(reasons)}
        )
        self._write()

    def finish(self, status: str) -> None:
        """How the run ended: "complete", "interrupted" or "failed: …"."""
        self.set(status=status, finished_at=_now())

    def _write(self) -> None:
        """Written beside and put in place at once, so that there is a whole one at any moment, and after any."""
        beside = self._folder.manifest.with_suffix(".new")
        try:
            beside.write_text(json.dumps(self._content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            beside.replace(self._folder.manifest)
        finally:
            beside.unlink(missing_ok=True)


def _place(block: Block) -> dict[str, Any]:
    return {"order": block.order, "arm": block.arm, "strategy": block.strategy, "block": block.number}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
