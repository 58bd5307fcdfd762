"""Attaches the programs to TC hooks with pyroute2, and takes away what it attached and nothing else.

Our filters are known by their names and their preference, so that the leftovers of a killed hedger can be told from
other tools' filters. A clsact qdisc that was there before, or that others use by now, stays.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

EGRESS = 0xFFFFFFF3
INGRESS = 0xFFFFFFF2
PREFERENCE = 0x4ED
NAME_PREFIX = "hedgerow:"
_ETH_P_ALL = 0x0003
_GONE = (errno.ENODEV, errno.ENOENT, errno.EINVAL)


class InterfaceBusyError(Exception):
    """Another hedger works on the interface."""


class InterfaceLock:
    """Held while a hedger works on an interface. An abstract socket: it belongs to the network namespace, as the
    interface does, and goes with the process however that ends."""

    def __init__(self, ifindex: int, interface: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.bind(f"\0hedgerow-interface-{ifindex}")
        except OSError as error:
            self._socket.close()
            if error.errno != errno.EADDRINUSE:
                raise
            raise InterfaceBusyError(f"another hedger is at work on {interface}; stop it first") from error

    def release(self) -> None:
        self._socket.close()


class Attachments:
    """The filters that one hedger has in place."""

    def __init__(self, ip: IPRoute) -> None:
        self._ip = ip

    def attach(self, ifindex: int, hook: int, name: str, program_fd: int) -> None:
        """Adds the program as a direct-action filter at `hook` (EGRESS or INGRESS) of the interface."""
        self._ensure_clsact(ifindex)
        self._ip.tc(
            "add-filter",
            "bpf",
            ifindex,
            handle=1,
            fd=program_fd,
            name=NAME_PREFIX + name,
            parent=hook,
            prio=PREFERENCE,
            protocol=_ETH_P_ALL,
            direct_action=True,
            classid=1,
        )

    def detach(self, ifindex: int) -> list[str]:
        """Removes our filters from both hooks, and clsact if nobody else has a filter there; the names removed."""
        removed = []
        for hook in (EGRESS, INGRESS):
            for handle, name in self._ours(ifindex, hook):
                self._ip.tc(
                    "del-filter", "bpf", ifindex, handle=handle, prio=PREFERENCE, protocol=_ETH_P_ALL, parent=hook
                )
                removed.append(name)
        if removed and not any(self._filters(ifindex, hook) for hook in (EGRESS, INGRESS)):
            self._ip.tc("del", "clsact", ifindex)
        return removed

    def _ensure_clsact(self, ifindex: int) -> None:
        try:
            self._ip.tc("add", "clsact", ifindex)
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                raise

    def _filters(self, ifindex: int, hook: int) -> list[Any]:
        try:
            return list(self._ip.get_filters(index=ifindex, parent=hook))
        except NetlinkError as error:
            if error.code in _GONE:  # no such interface, or no clsact on it
                return []
            raise

    def _ours(self, ifindex: int, hook: int) -> list[tuple[int, str]]:
        """(handle, name) of our filters at a hook."""
        found = []
        for entry in self._filters(ifindex, hook):
            options = entry.get_attr("TCA_OPTIONS")
            name = options.get_attr("TCA_BPF_NAME") if options is not None and hasattr(options, "get_attr") else None
            if name is not None and name.startswith(NAME_PREFIX):
                found.append((entry["handle"], name))
        return found
