"""After a run: does anything that bears its id remain on the host?"""

from __future__ import annotations

import time
from contextlib import suppress

from orchestrator.errors import LeftoversError
from orchestrator.host.cgroups import groups_of
from orchestrator.host.engine import things_of
from orchestrator.host.marks import links_of, namespaces_of, processes_of

GRACE_S = 2.0  #: the kernel frees some things a little after they were given back
_POLL_S = 0.02


def leftovers(run_id: str) -> list[str]:
    """What bears the id, in words; its directory under /run/hedgerow goes last, after this was asked."""
    found = [f"network namespace {name}" for name in namespaces_of(run_id)]
    found += [f"link {name}" for name in links_of(run_id)]
    found += [f"process {pid}" for pid in processes_of(run_id)]
    found += [f"control group {path}" for path in groups_of(run_id)]
    with suppress(LeftoversError):  # what cannot be asked is no leftover; taking a run's containers down insists
        found += things_of(run_id)
    return found


def remaining(run_id: str) -> list[str]:
    """What is still there after up to `GRACE_S`; empty as it should be."""
    deadline_s = time.monotonic() + GRACE_S
    while (found := leftovers(run_id)) and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
    return found
