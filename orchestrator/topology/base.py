"""The interface of all backends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from orchestrator.host.engine import EngineFacts  # noqa: TC001 (the manifest is read by these annotations)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hedgerow_node.control import ControlClient
    from orchestrator.host.live import LiveRun
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.runfolder.journal import Journal

    #: Makes a backend's topology from its layout, the run's live directory, its journal and its folder.
    MakeTopology = Callable[["Layout", LiveRun, Journal, RunFolder], "Topology"]


@dataclass(frozen=True)
class Layout:
    """What a run needs: `replicas` servers on `port`, the most that any of its blocks uses.

    `freezes` and `limits` say what faults will do to nodes, so that a backend makes only what these need.
    """

    port: int
    replicas: int = 1
    freezes: bool = False
    limits: bool = False


@dataclass(frozen=True)
class NodeImage:
    """An image of a running container: its id, what its base was made of, and versions by package."""

    id: str
    base: str
    packages: dict[str, str]


@dataclass(frozen=True)
class Containers:
    """What the manifest records of a topology of containers; `images` by name."""

    container_engine: EngineFacts
    images: dict[str, NodeImage]


class Topology(Protocol):
    """Nodes that are up between `up` and `down`."""

    backend: str

    def up(self) -> None:
        """Makes everything, until all programs answer; RunError or PrerequisiteError where that fails."""

    def down(self) -> None:
        """Removes everything again, also where only a part of it was made."""

    def servers(self) -> list[tuple[str, int]]:
        """Address and port of every replica."""

    def control(self, node: str) -> ControlClient:
        """The control channel of a node: "client", "hedger", "server-0", …"""

    def check(self) -> None:
        """Raises RunError, naming node and reason, where a node's program or its worker has ended."""

    def freeze(self, node: str) -> None:
        """Stops all processes of the node, its supervisor too, wherever they are; the layout must have `freezes`."""

    def thaw(self, node: str) -> None:
        """Resumes the node; harmless where it is not frozen."""

    def frozen(self, node: str) -> bool:
        """Whether all processes of the node are stopped, as the host reports."""

    def limit_cpu(self, node: str, percent: float | None) -> None:
        """Limits the node to `percent` of one CPU's time, None lifts the limit; the layout must have `limits`."""

    def throttled(self, node: str) -> int:
        """The number of periods so far in which the node used up its CPU time and had to wait, as the host counts."""

    def describe(self) -> Containers | None:
        """The containers that it consists of; None where there are none."""
