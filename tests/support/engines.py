"""What the hedger can be made of: the programs compiled for it, its engines, and the clocks that each has."""

from __future__ import annotations

from functools import cache

from hedgerow_hedger.programs import Build, KernelPrograms

TESTED = "clone-testbed"  #: of VARIANTS, what the tests of the programs are made with

#: The objects that bpf/hedger.c is compiled to, by name.
VARIANTS = {"clone": Build(testbed=False), TESTED: Build(testbed=True)}

#: Engines and delay lines that work together where the kernel has the qdisc.
ENGINES_AND_LINES = (("clone", "netem"), ("clone", "htb"))


@cache
def loaded(variant: str) -> KernelPrograms:
    """The programs of a variant: compiled once, which takes a virtual machine its time, and there until the end."""
    return KernelPrograms(VARIANTS[variant])
