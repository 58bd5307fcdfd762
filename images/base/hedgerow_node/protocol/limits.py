"""What both ends of the control protocol agree on beforehand: bounds, lead times and the names of nodes.

bpf/types.h has its own copy of what the kernel's programs have room for; a test compares the two.
"""

from __future__ import annotations

from hedgerow_node.units import NS_PER_MS

MAX_SERVICES = 16  #: that one hedger hedges for
MAX_REPLICAS = 16  #: of one service
MAX_RULES = 64  #: of network faults, in one block
#: From the client's message that it begins to its first send, in blocks whose faults have times.
LEAD_NS = 250 * NS_PER_MS

CLIENT, HEDGER = "client", "hedger"  #: names of nodes
_SERVER = "server-"


def server_name(replica: int) -> str:
    """The node name of a server replica: "server-0" for the first."""
    return f"{_SERVER}{replica}"


def replica_of(node: str) -> int | None:
    """The replica that the server `node` is; None for nodes that are not servers."""
    number = node.removeprefix(_SERVER)
    return int(number) if number != node and number.isdecimal() else None
