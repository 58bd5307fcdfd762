"""What the orchestrator can ask of the hedger over its control socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hedgerow_node.control import Message
from hedgerow_node.fields import Fields
from hedgerow_node.supervisor import Supervisor
from hedging import Hedger
from kernel_programs import Identity, Mode

_MODES = {mode.name.lower(): mode for mode in Mode}
_IDENTITIES = {identity.name.lower(): identity for identity in Identity}


def add_operations(supervisor: Supervisor, hedger: Hedger) -> None:
    """Lets `supervisor` answer:

    - `ping` → `{"role", "engine", "delay_line"}`
    - `mode` `{"mode": "off"|"tap"|"hedge", "identity": "flow"|"block", "block": int}`
    - `attach`, `detach`: puts splitter and responder in place or takes them away, the delay line staying
    - `stats` → counters, kernel latency, lateness since the last call
    - `collect` `{"hedges": path}` → writes the hedges since the last one, answers their number and the counters
    - `delay-line` → `{"statistics": text}`
    """

    def set_mode(request: Message) -> None:
        fields = Fields(request)
        mode, identity = fields.text("mode", *_MODES), fields.text("identity", *_IDENTITIES)
        hedger.set_mode(_MODES[mode], _IDENTITIES[identity], fields.integer("block", minimum=0))

    def collect(request: Message) -> Message:
        rows = hedger.write_hedges(Path(Fields(request).text("hedges")))
        return {"rows": rows, "counters": hedger.counters()}

    def ping(_: Message) -> dict[str, Any]:
        return {"role": "hedger", "engine": "clone", "delay_line": hedger.link.kind.name.lower()}

    supervisor.operation("ping", ping)
    supervisor.operation("mode", set_mode)
    supervisor.operation("attach", lambda _: hedger.attach())
    supervisor.operation("detach", lambda _: hedger.detach())
    supervisor.operation("stats", lambda _: hedger.statistics())
    supervisor.operation("collect", collect)
    supervisor.operation("delay-line", lambda _: {"statistics": hedger.delay_line_statistics()})
