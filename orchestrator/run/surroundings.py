"""The manifest's `environment`: the host and the client's interface right before the blocks and right after them.

The topology is up by then, so the differences are those of the measuring. A run that does not come to its end has no
`after`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hedgerow_node.control import ControlError
from hedgerow_node.protocol.limits import HEDGER
from orchestrator.errors import RunError
from orchestrator.host.observe.activity import activity, changes, differences, minus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.run.manifest import Manifest
    from orchestrator.topology.base import Topology


@contextmanager
def surroundings(manifest: Manifest, topology: Topology) -> Iterator[None]:
    """What is measured meanwhile stands between two looks at host and interface; RunError where one fails."""
    before = _taken(topology)
    manifest.set(environment={"before": before, "after": None, "differences": None})
    yield
    after = _taken(topology)
    manifest.set(environment={"before": before, "after": after, "differences": _differences(before, after)})


def _taken(topology: Topology) -> dict[str, Any]:
    """The interface is the client's, in whose network namespace the hedger is."""
    server, _ = topology.servers()[0]
    try:
        interface = topology.control(HEDGER).call("interface", towards=server)["state"]
    except ControlError as error:
        topology.check()
        raise RunError(f"hedger: {error}", "see the run's log.txt") from error
    return {**activity(), "interface": interface}


def _differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """A qdisc that came meanwhile, as the hedger's clsact does, has counted from nothing."""
    was, found = before["interface"], after["interface"]
    counters = {name: minus(found[name], was[name]) for name in ("statistics", "qdiscs", "udp")}
    if counters["qdiscs"] is not None:
        counters["qdiscs"] = {**found["qdiscs"], **counters["qdiscs"]}
    switched = changes({"offloads": was["offloads"]}, {"offloads": found["offloads"]}, "interface")
    whole = differences(before, after)
    return {**whole, "interface": counters, "settings_changed": {**whole["settings_changed"], **switched}}
