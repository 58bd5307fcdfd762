"""What stays as it is while a run measures: the manifest's `host`."""

from __future__ import annotations

import os
import platform
import re
from typing import Any

from orchestrator.host.facts.cpu import cpu_facts
from orchestrator.host.facts.kernel import kernel_facts
from orchestrator.host.facts.tree import Tree
from orchestrator.host.facts.virtualisation import virtualisation_facts


def host_facts(tree: Tree | None = None) -> dict[str, Any]:
    """This host, as far as it tells; what it does not tell is null. The load is that of before the run."""
    tree = tree or Tree()
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "system": _os_release(tree),
        "cpus": os.cpu_count(),
        "cpus_allowed": len(os.sched_getaffinity(0)),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        **cpu_facts(tree),
        **kernel_facts(tree),
        **virtualisation_facts(tree),
        "load_average": list(os.getloadavg()),
    }


def _os_release(tree: Tree) -> str | None:
    match = re.search(r'^PRETTY_NAME="?(.*?)"?$', tree.text("etc/os-release") or "", re.MULTILINE)
    return match[1] if match else None
