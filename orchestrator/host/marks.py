"""How the things that a run makes on a host bear the run's id, so that they can be found by it."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.host.namespaces import DIRECTORY

PROCESS_VARIABLE = "HEDGEROW_RUN"
RUN_ID = re.compile(r"[0-9a-f]{6}")


def namespace_name(run_id: str, role: str) -> str:
    """The network namespace of a node."""
    return f"hr-{run_id}-{role}"


def namespaces_of(run_id: str) -> list[str]:
    """The network namespaces that bear the id."""
    prefix = namespace_name(run_id, "")
    return sorted(path.name for path in DIRECTORY.glob(f"{prefix}*")) if DIRECTORY.is_dir() else []


def links_of(run_id: str) -> list[str]:
    """The links of the host's own namespace that bear the id."""
    return sorted(path.name for path in Path("/sys/class/net").glob(f"hr{run_id}*"))


def processes_of(run_id: str) -> list[int]:
    """The processes that were started for the run: it stands in their environment."""
    wanted = f"{PROCESS_VARIABLE}={run_id}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:  # ended meanwhile, or somebody else's
            continue
        if wanted in environment.split(b"\0"):
            found.append(int(entry.name))
    return found
