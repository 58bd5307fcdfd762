"""Which class brings which kind of fault about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from orchestrator.run.faults import cpu, network, process, service

if TYPE_CHECKING:
    from orchestrator.run.faults.acts import Act, Proof
    from orchestrator.run.faults.scene import Scene
    from orchestrator.scenario.faults import Fault


class Handler(Protocol):
    """One kind of fault, or several that are alike."""

    def apply(self, act: Act, scene: Scene) -> None:
        """Arranges with `scene`, before the block begins, that the act comes about at its time."""

    def undo(self, act: Act, scene: Scene) -> None:
        """Takes back what may still be on, at once; may be called again. Raises RunError or ControlError."""

    def proof(self, act: Act, scene: Scene) -> Proof:
        """Whether it really happened, after the block; also sets the act's times where another program knows them."""


HANDLERS: dict[str, Handler] = {
    "pause": process.Pause(),
    "freeze": process.Freeze(),
    "kill": process.Kill(),
    "restart": process.Kill(),
    "gc": process.Collection(),
    "cpu-stress": cpu.Stress(),
    "cpu-quota": cpu.Quota(),
    "slow": service.Service(),
    "stall": service.Service(),
    "drop-requests": service.Service(),
    "loss": network.Rule(),
    "duplicate": network.Rule(),
    "corrupt": network.Rule(),
    "delay": network.Rule(),
    "partition": network.Rule(),
    "reorder": network.Netem(),
    "rate": network.Netem(),
}
_NETEM = network.Netem()


def handler(fault: Fault) -> Handler:
    """Who brings `fault` about: its kind says, and for faults of the network the model it asks for."""
    return _NETEM if getattr(fault, "model", None) == "netem" else HANDLERS[fault.fault]
