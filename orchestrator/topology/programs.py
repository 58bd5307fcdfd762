"""The programs that run on the nodes: where they are, and how the hedger is configured for a scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hedgerow_node.protocol.hedger import Assignment
from hedgerow_node.units import NS_PER_S
from hedgerow_node.wire import IdPlace, RequestIdPlaces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hedgerow_node.protocol.hedger import Engine
    from orchestrator.scenario.models import Scenario

#: What Python is to run; by -P nothing in the working directory can take a module's place.
SERVER = ("-P", "-m", "hedgerow_server")
CLIENT = ("-P", "-m", "hedgerow_client")
HEDGER = ("-P", "-m", "hedgerow_hedger")

#: A loser may wait in a server's queue for as long as a block lasts, and must still be known when it comes. Ids are
#: used once in a run, so there is no reason for less.
_EXPIRY_NS = 3_600 * NS_PER_S


def hedger_assignment(
    scenario: Scenario, engine: Engine, servers: Sequence[tuple[str, int]], run_id: str
) -> Assignment:
    """What the hedger is configured with; it then is switched off, and each block switches it."""
    hedging = scenario.hedging
    request, response = (
        IdPlace(id_.offset, id_.length) for id_ in (hedging.request_id.request, hedging.request_id.response)
    )
    return Assignment(
        services=(tuple(servers),),
        target=hedging.target,
        request_id=RequestIdPlaces(request, response),
        copy_id=None if hedging.copy_id is None else IdPlace(hedging.copy_id.offset, 1),
        delay_ns=hedging.delay_ns,
        expiry_ns=_EXPIRY_NS,
        engine=engine,
        delay_line=hedging.delay_line,
        budget_ratio=hedging.budget.percent / 100,
        budget_burst=hedging.budget.burst,
        run_id=run_id,
    )
