"""What the server remembers of the copies it has seen: how often, and whether within the last second.

A request is known by where it comes from and by its id, (source address, port, id), as the published server knows
it. A client that hedges from a second socket is therefore somebody else to it.
"""

from __future__ import annotations

from typing import Any

from hedgerow_node.units import NS_PER_S

MEMORY_NS = NS_PER_S  #: a copy counts as a duplicate if the one before came at most this long ago
GENERATION_SIZE = 1 << 19  #: requests; at least so many, the latest, are remembered


class CopyMemory:
    """Copies by (source, request id), bounded: a server that runs for days must not grow for days.

    It keeps two generations; a full one becomes the old one and what was older is forgotten.
    """

    def __init__(self, generation_size: int = GENERATION_SIZE) -> None:
        self._size = generation_size
        self._young: dict[tuple[Any, int], tuple[int, int]] = {}
        self._old: dict[tuple[Any, int], tuple[int, int]] = {}

    def note(self, source: Any, request_id: int, received_ns: int) -> tuple[int, bool]:
        """Remember a copy that came from `source`; returns its ordinal (1 = first) and whether it is a duplicate,
        that is, whether the copy before it came at most `MEMORY_NS` earlier.
        """
        key = (source, request_id)
        known = self._young.get(key) or self._old.get(key)
        if known is None:
            ordinal, recent = 1, False
        else:
            ordinal, recent = known[0] + 1, received_ns - known[1] <= MEMORY_NS
        if len(self._young) >= self._size and key not in self._young:
            self._old, self._young = self._young, {}
        self._young[key] = (ordinal, received_ns)
        return ordinal, recent
