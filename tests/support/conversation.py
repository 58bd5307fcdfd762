"""A client that knows nothing of hedging: asks, waits for the answer to that, and counts what else arrives."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

ID_LENGTH = 4
PATIENCE_S = 60.0  #: a busy host may take seconds; an answer that never comes takes this long


class Conversation:
    """Requests over one socket, connected or not; `copies` counts the answers that arrived, by id."""

    def __init__(
        self, endpoint: socket.socket, server: tuple[str, int], connected: bool = True, size: int = 64
    ) -> None:
        self._socket, self._server, self._connected, self._size = endpoint, server, connected, size
        self._socket.settimeout(PATIENCE_S)
        if connected:
            self._socket.connect(server)
        self.copies: Counter[int] = Counter()
        self.sources: set[str] = set()

    def send(self, request_id: int) -> None:
        """Sends one request, without waiting."""
        payload = request_id.to_bytes(ID_LENGTH, "big").ljust(self._size, b"\0")
        if self._connected:
            self._socket.send(payload)
        else:
            self._socket.sendto(payload, self._server)

    def ask(self, ids: Iterable[int]) -> None:
        """Sends requests one after the other, each when the last is answered; TimeoutError where one never is."""
        for request_id in ids:
            self.send(request_id)
            while self._receive() != request_id:
                """What was for another request is counted; go on waiting."""

    def listen(self, seconds: float) -> None:
        """Counts what still arrives until it has been quiet for so long."""
        self._socket.settimeout(seconds)
        try:
            while True:
                self._receive()
        except TimeoutError:
            return

    def _receive(self) -> int:
        payload, source = self._socket.recvfrom(65_535)
        request_id = int.from_bytes(payload[:ID_LENGTH], "big")
        self.copies[request_id] += 1
        self.sources.add(source[0])
        assert len(payload) == self._size
        return request_id
