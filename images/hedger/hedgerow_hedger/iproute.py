"""Runs `ip` and `tc` and reads their output: for links and qdiscs, of which pyroute2 knows some and iproute2 all."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_QDISC_COUNTERS = ("bytes", "packets", "drops", "overlimits", "requeues", "backlog", "qlen")


class IprouteError(Exception):
    """`ip` or `tc` refused a command; the message is the tool's own."""


@dataclass(frozen=True)
class LinkEntry:
    """A network interface of this namespace."""

    name: str
    index: int
    alias: str  #: empty where it has none


@dataclass(frozen=True)
class Qdisc:
    """A queueing discipline; handles and parents as tc writes them."""

    interface: str
    kind: str
    handle: str
    parent: str  #: empty for a root
    is_root: bool
    counters: Mapping[str, int]  #: what tc counts: bytes, packets, drops, qlen and others


def batch(tool: str, commands: Sequence[str]) -> None:
    """Runs `commands` of `tool` ("ip" or "tc") in order, up to the first that fails: then raises IprouteError."""
    done = subprocess.run(
        [tool, "-batch", "-"], input="\n".join(commands) + "\n", text=True, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise IprouteError(f"{tool}: {' '.join(done.stderr.split())}")


def output(*command: str) -> str:
    """What `command` prints; IprouteError where it fails."""
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise IprouteError(f"{' '.join(command)}: {' '.join(done.stderr.split())}")
    return done.stdout


def links(name: str | None = None) -> list[LinkEntry]:
    """The link of that `name`, or all links; IprouteError where there is none of that name."""
    selection = () if name is None else ("dev", name)
    found = json.loads(output("ip", "-json", "link", "show", *selection))
    return [LinkEntry(link["ifname"], link["ifindex"], link.get("ifalias", "")) for link in found]


def qdiscs(interface: str | None = None) -> list[Qdisc]:
    """The qdiscs of `interface`, or of all, with their counters; IprouteError where there is no such interface."""
    selection = () if interface is None else ("dev", interface)
    return [
        Qdisc(
            interface=qdisc.get("dev", interface),
            kind=qdisc["kind"],
            handle=qdisc["handle"],
            parent=qdisc.get("parent", ""),
            is_root=bool(qdisc.get("root")),
            counters={name: qdisc[name] for name in _QDISC_COUNTERS if name in qdisc},
        )
        for qdisc in json.loads(output("tc", "-s", "-json", "qdisc", "show", *selection))
    ]


def interface_towards(address: str) -> str:
    """The interface by which packets to `address` leave this network namespace; IprouteError where there is none."""
    (route,) = json.loads(output("ip", "-json", "route", "get", address))
    return str(route["dev"])
