"""Figures of a summary, for tests that know that there are some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.runfolder.summary import Interval


def ends(interval: Interval | None) -> tuple[Any, Any]:
    """Both ends of an interval that there is."""
    assert interval is not None
    return interval
