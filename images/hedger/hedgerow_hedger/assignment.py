"""What a hedger may be asked to do: the bounds, and how the orchestrator's message says it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hedgerow_hedger.hedger import Assignment
from hedgerow_hedger.iproute import interface_towards
from hedgerow_hedger.programs import (
    NO_PLACE,
    SCOREBOARD_ENTRIES,
    DelayLineKind,
    Service,
    Target,
)
from hedgerow_node.lanes import MAX_DELAY_NS, MIN_DELAY_NS
from hedgerow_node.protocol.limits import MAX_REPLICAS, MAX_SERVICES
from hedgerow_node.wire import IdPlace, read_places

if TYPE_CHECKING:
    from hedgerow_node.fields import Fields

TARGETS = {target.name.lower(): target for target in Target}
DELAY_LINES = ("auto", *(kind.name.lower() for kind in DelayLineKind))


def checked_run_id(text: str) -> str:
    """`text`; ValueError where it would not fit into the name of a link."""
    if not re.fullmatch(r"[0-9a-z]{6}", text):
        raise ValueError(f"{text!r}: a run id is six digits or lower-case letters")
    return text


def read_assignment(fields: Fields) -> Assignment:
    """The assignment in a message `configure`; ControlError or ValueError, naming the field, where it is none.

    The interface is that by which the first service is reached: in a container nobody knows its name beforehand.
    """
    services = _services(fields)
    delay_ns = fields.integer("delay_ns", MIN_DELAY_NS, MAX_DELAY_NS)
    return Assignment(
        interface=interface_towards(services[0].replicas[0][0]),
        services=services,
        delay_ns=delay_ns,
        expiry_ns=fields.integer("expiry_ns", delay_ns + 1),
        delay_line=fields.text("delay_line", *DELAY_LINES),
        budget_ratio=fields.number("budget_ratio", 0),
        budget_burst=fields.integer("budget_burst", 1),
        scoreboard_entries=SCOREBOARD_ENTRIES,
        run_id=checked_run_id(fields.text("run_id")),
    )


def _services(fields: Fields) -> list[Service]:
    """Each service is the list of its replicas' `[address, port]`."""
    places = read_places(fields.section("request_id"))
    copy_id = NO_PLACE
    if "copy_id" in fields:
        place = fields.section("copy_id")
        copy_id = IdPlace(place.integer("offset"), place.integer("length", 1, 1)).checked()
    services = fields.listing("services")
    if not 1 <= len(services) <= MAX_SERVICES or any(not 1 <= len(replicas) <= MAX_REPLICAS for replicas in services):
        raise ValueError(f"from 1 to {MAX_SERVICES} services of 1 to {MAX_REPLICAS} replicas each")
    target = TARGETS[fields.text("target", *TARGETS)]
    return [
        Service([(str(host), int(port)) for host, port in replicas], places.request, places.response, copy_id, target)
        for replicas in services
    ]
