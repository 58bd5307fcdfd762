"""The words below a run's tables: what could not be told and why, what was discarded, and on what it was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.report.figures import blocks, control_words

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEASURED_ON = {"backend": "backend", "engine": "engine", "delay_line": "delay line"}
_CLOSED = (
    "while a request is stuck no other is sent, so these latencies leave out the waiting of those "
    "that would have come (coordinated omission)."
)


def notes(summary: dict[str, Any]) -> list[str]:
    """The notes on `summary`, a line each, the verdict last."""
    arms = summary.get("arms", [{"name": None, **summary}])
    claims = [(arm["name"], claim) for arm in arms for claim in arm["claims"]]
    if "arms" in summary:
        claims += [(None, claim) for claim in summary["claims"]]
    found = [f"{_in(arm, claim['id'])}: {claim['reason']}" for arm, claim in claims if "reason" in claim]
    for arm in arms:
        found += _unanswered(arm)
    found += _controls(arms)
    for block in summary.get("discarded", []):
        where = _in(block["arm"], block["strategy"])
        found.append(
            f"{where}: block {block['block']} was discarded and measured again: {'; '.join(block['reasons'])}"
        )
    on = ", ".join(f"{word} {summary[key] or 'unknown'}" for key, word in _MEASURED_ON.items())
    found.append(f"{summary['run']}: {on}; {blocks(summary['blocks'])} of each strategy")
    closed = [arm["name"] for arm in arms if arm["arrivals"] == "closed"]
    if closed:
        where = "" if len(closed) == len(arms) else f" in {', '.join(closed)}"
        found.append(f"Closed arrivals{where}: {_CLOSED}")
    if summary["verdict"]:
        found.append(f"Verdict: {summary['verdict']}")
    return found


def _unanswered(arm: dict[str, Any]) -> Iterator[str]:
    for name, strategy in arm["strategies"].items():
        unanswered = strategy["requests"] - strategy["answered"]
        if not strategy["requests"]:
            yield f"{_in(arm['name'], name)}: no requests in this run"
        elif unanswered:
            share = f"{unanswered} of {strategy['requests']} requests"
            yield f"{_in(arm['name'], name)}: {share} were not answered in time"


def _controls(arms: list[dict[str, Any]]) -> Iterator[str]:
    """What the A/A control says: of a run always, of several arms only where one of them shows an effect."""
    for arm in arms:
        control = arm.get("control")
        if control is not None and (arm["name"] is None or control["null"] is False):
            words = control_words(control)
            yield words if arm["name"] is None else f"{arm['name']}: {words}"


def _in(arm: str | None, what: str) -> str:
    return what if arm is None else f"{arm}, {what}"
