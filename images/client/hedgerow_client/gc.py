"""The fault gc: real collections, by a thread of the client's own process, of a heap worth looking through.

Python's collector runs with the interpreter's lock held, whichever thread asks for it, so the client stands still as
it does when the collector comes by itself: that takes full collections of large heaps, which no short block has.
"""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING

from hedgerow_node.clock import now_ns
from hedgerow_node.object_graph import collect, object_graph
from hedgerow_node.protocol.server import CollectionTimes
from hedgerow_node.units import NS_PER_S

if TYPE_CHECKING:
    from hedgerow_node.protocol.client import GcSettings


class GcTrigger:
    """Triggers collections of a heap that it makes; to be made after `gc.freeze`, which would hide the heap."""

    def __init__(self, settings: GcSettings) -> None:
        self._offsets_ns = tuple(sorted(settings.offsets_ns))
        self._collected: list[tuple[int, int]] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        gc.disable()  # or making the heap would have it looked through again and again
        self._heap = object_graph(settings.objects)
        gc.collect()  # what has been seen once is left alone by the small collections that come by themselves
        gc.enable()

    def start(self, start_ns: int) -> None:
        """Collect at the given times, counted from `start_ns`."""
        self._thread = threading.Thread(target=self._run, args=(start_ns,), daemon=True)
        self._thread.start()

    def _run(self, start_ns: int) -> None:
        for offset_ns in self._offsets_ns:
            while (left_ns := start_ns + offset_ns - now_ns()) > 0:
                if self._stop.wait(left_ns / NS_PER_S):
                    return
            self._collected.append(collect())

    def collections(self) -> tuple[CollectionTimes, ...]:
        """When garbage was collected; collections that are still to come are given up."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        return tuple(CollectionTimes(start_ns, end_ns) for start_ns, end_ns in self._collected)
