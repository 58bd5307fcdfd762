"""How long tests wait for what must happen, which no test judges."""

from __future__ import annotations

import os

_IN_GUEST = 10  #: while a virtual machine waits for its host, such as for a file, its clock runs far ahead


def patience_s(seconds: float) -> float:
    """So many seconds, and more inside a virtual machine."""
    return seconds * (_IN_GUEST if "HEDGEROW_GUEST" in os.environ else 1)
