"""What a run asks of a backend, whichever it is."""

from __future__ import annotations

from typing import Any, Protocol

from hedgerow_node.control import ControlClient

CLIENT, HEDGER = "client", "hedger"


def server_name(replica: int) -> str:
    """The node name of a server replica."""
    return f"server-{replica}"


class Topology(Protocol):
    """Nodes that are up between `up` and `down`."""

    backend: str

    def up(self) -> None:
        """Stands everything up, programs answering; RunError or PrerequisiteError where that fails."""

    def down(self) -> None:
        """Takes everything down again, whatever of it is there."""

    def servers(self) -> list[tuple[str, int]]:
        """Address and port of every replica."""

    def control(self, node: str) -> ControlClient:
        """The control channel of a node: "client", "hedger", "server-0", …"""

    def check(self) -> None:
        """Raises RunError, naming node and reason, where a node's program or its worker has ended."""

    def describe(self) -> dict[str, Any]:
        """What the manifest should tell of it, beside the backend's name."""
