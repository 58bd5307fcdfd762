"""manifest.json: what was run, where, with which versions, and how it ended."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from orchestrator.collect.folder import RunFolder
from orchestrator.plan.blocks import Block
from orchestrator.run.block import BlockReport
from orchestrator.run.environment import environment
from orchestrator.scenario.models import Scenario

SCHEMA = 1


class Manifest:
    """Written when a run begins and again whenever something is added, so that a killed run has one too."""

    def __init__(self, folder: RunFolder, scenario: Scenario, backend: str) -> None:
        self._folder = folder
        self._content: dict[str, Any] = {
            "schema": SCHEMA,
            "run": folder.name,
            "scenario": scenario.name,
            "backend": backend,
            "engine": None,
            "delay_line": None,
            "status": "unfinished",
            "started_at": _now(),
            "finished_at": None,
            "seeds": {"workload": scenario.workload.seed, "design": scenario.design.seed},
            **environment(),
            "counters": {},
            "blocks": [],
        }
        self._write()

    def set(self, **entries: Any) -> None:
        """Adds or replaces entries."""
        self._content.update(entries)
        self._write()

    def add_block(self, block: Block, report: BlockReport) -> None:
        """Adds what a block gave; the counters add up by strategy. Written with the next `set`."""
        totals = self._content["counters"].setdefault(block.strategy, {})
        for name, value in report.counters.items():
            totals[name] = totals.get(name, 0) + value
        self._content["blocks"].append(
            {
                "order": block.order,
                "strategy": block.strategy,
                "block": block.number,
                "client": {
                    key: value for key, value in report.client.items() if key not in ("event", "strategy", "block")
                },
                "server": report.server,
            }
        )

    def finish(self, status: str) -> None:
        """How the run ended: "complete", "interrupted" or "failed: …"."""
        self.set(status=status, finished_at=_now())

    def _write(self) -> None:
        self._folder.manifest.write_text(json.dumps(self._content, indent=1, ensure_ascii=False) + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
