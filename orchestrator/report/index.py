"""index.html: all runs of a results folder on one page, the latest first, each with its verdict and its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.report.entries import entries
from orchestrator.report.html import environment
from orchestrator.runfolder.folder import chown_like

if TYPE_CHECKING:
    from pathlib import Path


def write_index(results: Path) -> Path:
    """Write index.html into `results` and return its path."""
    path = results / "index.html"
    path.write_text(
        environment().get_template("index.html.j2").render(entries=entries(results)[::-1]), encoding="utf-8"
    )
    chown_like(path, results)
    return path
