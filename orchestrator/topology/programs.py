"""The programs that run on the nodes: where they are, how each is told what this scenario asks of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hedgerow_node.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.scenario.models import Scenario

IMAGES = Path(__file__).resolve().parents[2] / "images"
SERVER = IMAGES / "server" / "server.py"
CLIENT = IMAGES / "client" / "client.py"
HEDGER = IMAGES / "hedger" / "hedger.py"

#: A loser may wait in a server's queue for as long as a block lasts, and must still be known when it comes. Ids are
#: used once in a run, so nothing speaks for less.
_EXPIRY_NS = 3_600 * NS_PER_S


def hedger_assignment(scenario: Scenario, servers: Sequence[tuple[str, int]], run_id: str) -> dict[str, Any]:
    """The fields of the message `configure` to the hedger, which then is at work, switched off; blocks switch it."""
    hedging = scenario.hedging
    return {
        "services": [[list(server) for server in servers]],
        "target": hedging.target,
        "request_id": hedging.request_id.model_dump(),
        "copy_id": None if hedging.copy_id is None else {"offset": hedging.copy_id.offset, "length": 1},
        "delay_ns": hedging.delay_ns,
        "expiry_ns": _EXPIRY_NS,
        "delay_line": hedging.delay_line,
        "budget_ratio": hedging.budget.percent / 100,
        "budget_burst": hedging.budget.burst,
        "run_id": run_id,
    }
