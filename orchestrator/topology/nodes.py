"""The control channels of a run's nodes, whichever backend made them: connected, checked, closed.

A program that ends closes its connection, which is noticed here without asking: a request, to the engine for example,
would disturb what is being measured.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hedgerow_node.control import ControlClient, ControlError
from hedgerow_node.protocol.limits import CLIENT, HEDGER
from hedgerow_node.sources import digest
from orchestrator.errors import PrerequisiteError, RunError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START_TIMEOUT_S = 20.0
CALL_TIMEOUT_S = 60.0  #: configuring the hedger compiles: a quarter of a second here, many under emulation
_END_TIMEOUT_S = 5.0
_POLL_S = 0.01


class Nodes:
    """The nodes by name; `ending` says how a node's program ended, None while it runs, `words` what it said."""

    def __init__(self, ending: Callable[[str], str | None], words: Callable[[str], str]) -> None:
        self._ending, self._words = ending, words
        self._controls: dict[str, ControlClient] = {}

    def connect(self, node: str, path: Path) -> None:
        """Waits until the node's program answers on the socket at `path`.

        RunError where it ends or does not answer, PrerequisiteError where its sources differ from ours.
        """
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                control = ControlClient(path, CALL_TIMEOUT_S)
                said = control.call("ping")
                break
            except ControlError as error:
                ending = self._ending(node)
                if ending is not None:
                    raise RunError(
                        f"{node} did not come up ({ending}): {self._words(node) or 'no output'}",
                        "orchestrator doctor says what is missing",
                    ) from error
                if time.monotonic() > deadline_s:
                    raise RunError(f"{node} does not answer: {error}", "see the run's log.txt") from error
                time.sleep(_POLL_S)
        self._controls[node] = control
        if said["sources"] != digest(said["role"]):
            raise PrerequisiteError(
                f"{node} runs sources that differ from this checkout's",
                "orchestrator images build (or docker compose build), or --backend netns",
            )

    def __getitem__(self, node: str) -> ControlClient:
        """The control channel of a node."""
        return self._controls[node]

    def check(self) -> None:
        """Raises RunError, naming node and reason, where a program or a server's worker has ended."""
        for node, control in self._controls.items():
            # The only event that a server sends unasked; asking would disturb what is being measured.
            event = None if node in (CLIENT, HEDGER) else control.event_by_now("worker-died")
            if event is not None:
                raise RunError(f"{node}: its worker died in the middle of the run ({event['status']})", "see log.txt")
            if control.gone():
                raise RunError(f"{node} ended in the middle of the run ({self._how(node)})", "see the run's log.txt")

    def close(self) -> None:
        """Closes all channels."""
        for control in self._controls.values():
            control.close()
        self._controls = {}

    def _how(self, node: str) -> str:
        """How it ended: its connection closes a moment before it ends."""
        deadline_s = time.monotonic() + _END_TIMEOUT_S
        while (ending := self._ending(node)) is None and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
        return ending or "it closed its control socket"
