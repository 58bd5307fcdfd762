"""How the things that a run makes on a host bear its id, and what still bears it after the run."""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import LeftoversError
from orchestrator.host.cgroups import groups_of
from orchestrator.host.engine import things_of
from orchestrator.host.namespaces import DIRECTORY

PROCESS_VARIABLE = "HEDGEROW_RUN"
RUN_ID = re.compile(r"[0-9a-f]{6}")
GRACE_S = 2.0  #: the kernel frees some things a little after they were given back
_POLL_S = 0.02


def namespace_name(run_id: str, role: str) -> str:
    """The network namespace of a node."""
    return f"hr-{run_id}-{role}"


def namespaces_of(run_id: str) -> list[str]:
    """The network namespaces that bear the id."""
    prefix = namespace_name(run_id, "")
    return sorted(path.name for path in DIRECTORY.glob(f"{prefix}*")) if DIRECTORY.is_dir() else []


def links_of(run_id: str) -> list[str]:
    """The links of this network namespace that bear the id."""
    return sorted(name for _, name in socket.if_nameindex() if name.startswith(f"hr{run_id}"))


def processes_of(run_id: str) -> list[int]:
    """The processes that were started for the run: it stands in their environment."""
    wanted = f"{PROCESS_VARIABLE}={run_id}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:  # it has ended, or is another user's
            continue
        if wanted in environment.split(b"\0"):
            found.append(int(entry.name))
    return found


def leftovers(run_id: str) -> list[str]:
    """What bears the id, as kind and name; without its directory under /run/hedgerow, which is removed last."""
    found = [f"network namespace {name}" for name in namespaces_of(run_id)]
    found += [f"link {name}" for name in links_of(run_id)]
    found += [f"process {pid}" for pid in processes_of(run_id)]
    found += [f"control group {path}" for path in groups_of(run_id)]
    with suppress(LeftoversError):  # no engine to ask: removing the run's containers reports that
        found += things_of(run_id)
    return found


def remaining(run_id: str) -> list[str]:
    """What is still there after up to `GRACE_S`; empty as it should be."""
    deadline_s = time.monotonic() + GRACE_S
    while (found := leftovers(run_id)) and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
    return found
