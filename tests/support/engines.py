"""What the hedger can be made of: the programs compiled for it, its engines, and the clocks that each has."""

from __future__ import annotations

from functools import cache

from hedgerow_hedger.programs import Build, KernelPrograms
from hedgerow_node.ring import MAX_CELLS

#: The objects that bpf/hedger.c is compiled to, by name.
VARIANTS = {
    "clone": Build("clone", testbed=False),
    "clone-testbed": Build("clone", testbed=True),
    "queue": Build("queue", testbed=False, cells=MAX_CELLS),
    "queue-testbed": Build("queue", testbed=True, cells=MAX_CELLS),
}

#: Engines and delay lines that work together where the kernel has the qdisc.
ENGINES_AND_LINES = (("clone", "netem"), ("clone", "htb"), ("clone", "fq"), ("queue", "htb"), ("queue", "fq"))


@cache
def loaded(variant: str) -> KernelPrograms:
    """The programs of a variant: compiled once, which takes a virtual machine its time, and there until the end."""
    return KernelPrograms(VARIANTS[variant])
