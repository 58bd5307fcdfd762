"""Network namespaces, one a node, joined by a bridge in a namespace of its own; nothing in the host's own network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyroute2 import IPRoute

from orchestrator.host.namespaces import inside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

INTERFACE = "eth0"
BRIDGE = "bridge0"
CLIENT_ADDRESS = "10.77.0.1"
PREFIX_LENGTH = 24


def server_address(replica: int) -> str:
    """The address of a server replica."""
    return f"10.77.0.{10 + replica}"


def connect(make_namespace: Callable[[str], str], addresses: Mapping[str, str]) -> None:
    """Makes a namespace for each role of `addresses`, whose INTERFACE has that address, and one called "bridge".

    `make_namespace` makes the namespace of a role and returns its name.
    """
    middle = make_namespace("bridge")
    with _netlink(middle) as bridge_side:
        bridge_side.link("add", ifname=BRIDGE, kind="bridge")
        bridge = bridge_side.link_lookup(ifname=BRIDGE)[0]
        bridge_side.link("set", index=bridge, state="up")
        for role, address in addresses.items():
            with _netlink(make_namespace(role)) as node_side:
                peer = {"ifname": role, "net_ns_fd": middle}
                node_side.link("add", ifname=INTERFACE, kind="veth", peer=peer)
                interface = node_side.link_lookup(ifname=INTERFACE)[0]
                node_side.addr("add", index=interface, address=address, prefixlen=PREFIX_LENGTH)
                node_side.link("set", index=node_side.link_lookup(ifname="lo")[0], state="up")
                node_side.link("set", index=interface, state="up")
            port = bridge_side.link_lookup(ifname=role)[0]
            bridge_side.link("set", index=port, master=bridge, state="up")


def _netlink(namespace: str) -> IPRoute:
    with inside(namespace):
        return IPRoute()
