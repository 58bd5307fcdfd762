"""The proxy beside the client, for a block of the strategy `proxy`: started before it, asked afterwards what it did.

The client's worker knows nothing of it but its address: it is the baseline's.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hedgerow_client.programs import become_proxy, locate
from hedgerow_node.control import ControlError, JsonObject, Lines
from hedgerow_node.processes import fork_worker
from hedgerow_node.protocol import Message

if TYPE_CHECKING:
    from hedgerow_node.protocol.client import BlockSettings

_TIMEOUT_S = 10.0  #: to start, and to end: both take a few milliseconds
_CHUNK = 1 << 16


@dataclass(frozen=True)
class _Listening(Message):
    """Its first event."""

    address: tuple[str, int]


class Proxy:
    """A running proxy; its `pidfd` is readable once it has ended.

    Raises ControlError where there is none, or it does not start; then nothing is left of it.
    """

    def __init__(self, settings: BlockSettings, program: str) -> None:
        locate(program)
        self._settings, self._lines = settings, Lines()
        self._worker = fork_worker(lambda channel: become_proxy(program, settings, channel))
        self._worker.channel.settimeout(_TIMEOUT_S)
        self.pid, self.pidfd = self._worker.pid, self._worker.pidfd
        try:
            self._address = _Listening.from_json(self._hear("listening")).address
        except ControlError:
            self.kill()
            raise

    @property
    def client_settings(self) -> BlockSettings:
        """The settings of the client that sends through it."""
        return replace(self._settings, strategy="baseline", servers=(self._address,), spread="first", target="same")

    def finish(self) -> JsonObject:
        """End it: its counters. ControlError where it has ended without them."""
        try:
            self._worker.channel.shutdown(socket.SHUT_WR)
            return self._hear("done")
        finally:
            self.kill()

    def kill(self) -> str | None:
        """End it at once, if it has not, and release it: how it ended, as `Worker.reap` says it."""
        self._worker.kill()
        death = self._worker.reap()
        self._worker.channel.close()
        return death

    def _hear(self, event: str) -> JsonObject:
        """The fields of its next event, which is to be `event`."""
        lines: list[bytes] = []
        try:
            while not lines:
                data = self._worker.channel.recv(_CHUNK)
                if not data:
                    raise ControlError("the proxy has ended without a response; stderr may say why")
                lines = self._lines.feed(data)
        except TimeoutError as error:
            raise ControlError(f"the proxy has not said {event!r} within {_TIMEOUT_S:g} s") from error
        message: JsonObject = json.loads(lines[0])
        if message.pop("event") != event:
            raise ControlError(f"the proxy has failed: {message.get('error', lines[0])}")
        return message
