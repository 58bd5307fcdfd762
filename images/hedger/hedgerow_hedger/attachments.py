"""Attaches the programs to TC hooks with pyroute2, and removes what it attached and nothing else.

Our filters are known by their names and their preference, so that the leftovers of a killed hedger can be
distinguished from other tools' filters. A clsact qdisc is removed only if a hedger of ours made it and no other tool
has a filter there.
"""

from __future__ import annotations

import errno
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyroute2.netlink.exceptions import NetlinkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyroute2 import IPRoute

    from hedgerow_hedger.edges import NetlinkMessage

EGRESS = 0xFFFFFFF3
INGRESS = 0xFFFFFFF2
PREFERENCE = 0x4ED
NAME_PREFIX = "hedgerow:"
_CLSACT_HANDLE = 0xFFFF0000
_ETH_P_ALL = 0x0003
_GONE = (errno.ENODEV, errno.ENOENT, errno.EINVAL)


class AttachError(Exception):
    """A program cannot be attached, or the interface is another hedger's; the message says why and what to do."""


@contextmanager
def _refusal_in_words(name: str) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        raise AttachError(f"the kernel rejects program {name}: {error}; see orchestrator doctor") from error


class InterfaceLock:
    """Held while a hedger works on an interface.

    An abstract socket: it belongs to the network namespace, as the interface does, and is released when the process
    ends, however that happens.
    """

    def __init__(self, ifindex: int, interface: str) -> None:
        """AttachError where another hedger holds it."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.bind(f"\0hedgerow-interface-{ifindex}")
        except OSError as error:
            self._socket.close()
            if error.errno != errno.EADDRINUSE:
                raise
            raise AttachError(f"another hedger is at work on {interface}; stop it first") from error

    def release(self) -> None:
        """Lets another hedger have the interface."""
        self._socket.close()


class Attachments:
    """The filters of ours on interfaces of this network namespace."""

    def __init__(self, ip: IPRoute) -> None:
        self._ip = ip

    def has_clsact(self, ifindex: int) -> bool:
        """Whether the interface has a clsact qdisc; AttachError where an ingress qdisc stands in its place."""
        for qdisc in self._ip.get_qdiscs(index=ifindex):
            if qdisc["handle"] == _CLSACT_HANDLE:
                kind = qdisc.get_attr("TCA_KIND")
                if kind != "clsact":
                    raise AttachError(
                        f"a qdisc {kind} leaves no room for the programs; replace it by a clsact"
                        " (tc qdisc delete dev NAME ingress; filters at ingress work there as well)"
                    )
                return True
        return False

    def attach(self, ifindex: int, hook: int, name: str, program_fd: int, preference: int = PREFERENCE) -> None:
        """Adds the program as a direct-action filter at `hook` (EGRESS or INGRESS), with a clsact qdisc if need be.

        Filters run in the order of their preferences. Raises AttachError where the kernel refuses.
        """
        with _refusal_in_words(name):
            if not self.has_clsact(ifindex):
                self._ip.tc("add", "clsact", ifindex)
            self._add_filter(ifindex, hook, name, program_fd, preference, direct_action=True, classid=1)

    def classify(self, ifindex: int, parent: int, name: str, program_fd: int) -> None:
        """Lets the program choose the class below qdisc `parent`; AttachError where the kernel refuses."""
        with _refusal_in_words(name):
            self._add_filter(ifindex, parent, name, program_fd, PREFERENCE)

    def _add_filter(
        self, ifindex: int, parent: int, name: str, program_fd: int, preference: int, **options: int
    ) -> None:
        self._ip.tc(
            "add-filter",
            "bpf",
            ifindex,
            handle=1,
            fd=program_fd,
            name=NAME_PREFIX + name,
            parent=parent,
            prio=preference,
            protocol=_ETH_P_ALL,
            **options,
        )

    def detach(self, ifindex: int, *only: str) -> list[str]:
        """Removes our filters, or `only` those of these names, from both hooks; what was removed.

        Harmless where there are none, or no such interface.
        """
        wanted = {NAME_PREFIX + name for name in only}
        removed = []
        for hook in (EGRESS, INGRESS):
            for handle, preference, name in self._ours(ifindex, hook):
                if wanted and name not in wanted:
                    continue
                if self._remove_filter(ifindex, hook, handle, preference):
                    removed.append(name)
        return removed

    def _remove_filter(self, ifindex: int, hook: int, handle: int, preference: int) -> bool:
        """False where it is gone, perhaps with its interface, since it was listed."""
        try:
            self._ip.tc(
                "del-filter", "bpf", ifindex, handle=handle, prio=preference, protocol=_ETH_P_ALL, parent=hook
            )
        except NetlinkError as error:
            if error.code not in _GONE:
                raise
            return False
        return True

    def remove_clsact(self, ifindex: int) -> None:
        """Removes the clsact qdisc unless there are filters of other tools; harmless where there is none."""
        try:
            if self.has_clsact(ifindex) and not any(self._filters(ifindex, hook) for hook in (EGRESS, INGRESS)):
                self._ip.tc("del", "clsact", ifindex)
        except NetlinkError as error:
            if error.code not in _GONE:
                raise

    def _filters(self, ifindex: int, hook: int) -> list[NetlinkMessage]:
        try:
            return list(self._ip.get_filters(index=ifindex, parent=hook))
        except NetlinkError as error:
            if error.code in _GONE:  # no such interface, or no clsact on it
                return []
            raise

    def _ours(self, ifindex: int, hook: int) -> list[tuple[int, int, str]]:
        """(handle, preference, name) of our filters at a hook."""
        found = []
        for entry in self._filters(ifindex, hook):
            options = entry.get_attr("TCA_OPTIONS")
            name = options.get_attr("TCA_BPF_NAME") if options is not None and hasattr(options, "get_attr") else None
            if name is not None and name.startswith(NAME_PREFIX):
                found.append((entry["handle"], entry["info"] >> 16, name))
        return found
