"""The manifest's `environment`: the host and the client's interface right before the blocks and right after them.

The topology is up by then, so the differences are those of the measuring. A run that does not come to its end has no
`after`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from hedgerow_node.control import ControlError
from hedgerow_node.protocol.hedger import InterfaceState
from hedgerow_node.protocol.limits import HEDGER
from orchestrator.errors import RunError
from orchestrator.host.observe.activity import activity, differences
from orchestrator.runfolder.manifest import Environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.runfolder.manifest import ManifestFile
    from orchestrator.topology.base import Topology


@contextmanager
def surroundings(manifest: ManifestFile, topology: Topology) -> Iterator[None]:
    """Observes host and interface before and after what is measured inside; RunError where one cannot be read."""
    before = activity(_interface(topology))
    manifest.write(replace(manifest.content, environment=Environment(before)))
    yield
    after = activity(_interface(topology))
    whole = Environment(before, after, differences(before, after))
    manifest.write(replace(manifest.content, environment=whole))


def _interface(topology: Topology) -> InterfaceState:
    """The client's, in whose network namespace the hedger is."""
    server, _ = topology.servers()[0]
    try:
        state = topology.control(HEDGER).call("interface", towards=server)["state"]
    except ControlError as error:
        topology.check()
        raise RunError(f"hedger: {error}", "see the run's log.txt") from error
    return InterfaceState.from_json(state)
