"""The links of an engine, and which program meets packets at which end of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hedgerow_hedger import delay_link
from hedgerow_hedger.attachments import EGRESS, INGRESS
from hedgerow_hedger.programs import DelayLineKind, EngineName, KernelPrograms

if TYPE_CHECKING:
    from contextlib import ExitStack

    from hedgerow_hedger.attachments import Attachments
    from hedgerow_hedger.delay_link import DelayLink, Link


@dataclass(frozen=True)
class EngineLinks:
    """Those of one hedger."""

    engine: EngineName
    delay: DelayLink
    hedge: Link | None  #: engine queue: on the way from the queue to the rescuer

    @property
    def to_rescuer(self) -> Link:
        """The link whose far end has the rescuer: where hedges come from."""
        return self.hedge or self.delay


def make_links(
    stack: ExitStack, engine: EngineName, kind: DelayLineKind, delay_ns: int, token: str, ifindex: int, clsact: bool
) -> EngineLinks:
    """Makes the links for requests of interface `ifindex`; leaving `stack` removes them. Raises what `make` does."""
    names = delay_link.link_names(token)
    if engine == "clone":
        delay = delay_link.make(names, kind, delay_ns, ifindex, clsact)
        stack.callback(delay_link.remove, delay.near)
        return EngineLinks(engine, delay, None)
    delay = delay_link.make_clock(names, kind, ifindex, clsact)
    stack.callback(delay_link.remove, delay.near)
    hedge = delay_link.make_without_offloads(delay_link.link_names(token, "h"), ifindex)
    stack.callback(delay_link.remove, hedge.near)
    return EngineLinks(engine, delay, hedge)


def attach_programs(links: EngineLinks, programs: KernelPrograms, attachments: Attachments) -> None:
    """Puts the programs at the links' ends; they go with the links."""
    attachments.attach(links.to_rescuer.far_ifindex, INGRESS, "rescuer", programs.rescuer.fd)
    if links.engine == "queue":
        attachments.attach(links.delay.far_ifindex, INGRESS, "drain", programs.load("drain"))
    if links.delay.kind is DelayLineKind.FQ:
        attachments.attach(links.delay.near_ifindex, EGRESS, "departure", programs.load("departure"))
