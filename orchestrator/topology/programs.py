"""The programs that run on the nodes: where they are, how each is told what this scenario asks of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hedgerow_node.addresses import format_endpoint
from orchestrator.scenario.models import Scenario

IMAGES = Path(__file__).resolve().parents[2] / "images"
SERVER = IMAGES / "server" / "server.py"
CLIENT = IMAGES / "client" / "client.py"
HEDGER = IMAGES / "hedger" / "hedger.py"


def hedger_arguments(
    scenario: Scenario, interface: str, servers: Sequence[tuple[str, int]], run_id: str
) -> list[str]:
    """The hedger's command line, the control socket left out. It starts switched off; blocks switch it on."""
    hedging = scenario.hedging
    places = hedging.request_id
    options = {
        "--interface": interface,
        "--service": format_endpoint(*servers[0]),
        "--delay": f"{hedging.delay_ns}ns",
        "--expiry": f"{max(2 * hedging.delay_ns, scenario.drain_ns + hedging.delay_ns)}ns",
        "--request-id": f"{places.request.offset}:{places.request.length}",
        "--response-id": f"{places.response.offset}:{places.response.length}",
        "--engine": "clone",
        "--delay-line": hedging.delay_line,
        "--budget": f"{hedging.budget.percent:f}%",
        "--burst": str(hedging.budget.burst),
        "--mode": "off",
        "--run-id": run_id,
    }
    if hedging.copy_id is not None:
        options["--copy-id"] = f"{hedging.copy_id.offset}:1"
    return [part for option in options.items() for part in option]
