"""Who injects faults: one module a carrier, with what it sends (`orders`) and what it proves faults by (`prove`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.run.faults.carriers import client, hedger, netem, orchestrator, server, supervisor

if TYPE_CHECKING:
    from orchestrator.run.faults.carriers.base import Carrier
    from orchestrator.scenario.fault_base import Carrier as Name

#: By the name that models of faults give.
CARRIERS: dict[Name, type[Carrier]] = {
    "supervisor": supervisor.Supervisor,
    "orchestrator": orchestrator.Orchestrator,
    "server": server.Server,
    "hedger": hedger.Hedger,
    "netem": netem.Netem,
    "client": client.Client,
}
