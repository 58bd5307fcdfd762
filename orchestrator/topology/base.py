"""What a run asks of a backend, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from hedgerow_node.control import ControlClient


@dataclass(frozen=True)
class Layout:
    """What a run asks to be stood up: `replicas` servers on `port`, the most that any of its blocks uses.

    `freezes` and `limits` name what faults will do to nodes, so that a backend makes only what is needed for it.
    """

    port: int
    replicas: int = 1
    freezes: bool = False
    limits: bool = False


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

    def freeze(self, node: str) -> None:
        """Stops everything on the node, its supervisor too, in whatever it does; the layout must have `freezes`."""

    def thaw(self, node: str) -> None:
        """Lets it run on; harmless where it is not frozen."""

    def frozen(self, node: str) -> bool:
        """Whether everything on the node stands still, as the host says."""

    def limit_cpu(self, node: str, percent: float | None) -> None:
        """Gives the node `percent` of one CPU's time, None all it wants; the layout must have `limits`."""

    def throttled(self, node: str) -> int:
        """In how many periods so far the node had used up its CPU time and had to wait, as the host counts."""

    def describe(self) -> dict[str, Any]:
        """What the manifest should tell of it, beside the backend's name."""
