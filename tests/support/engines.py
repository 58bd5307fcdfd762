"""What the hedger can be made of: its engines, the clocks that each has, and the programs compiled for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hedgerow_hedger.programs import Build, KernelPrograms

if TYPE_CHECKING:
    from collections.abc import Callable

#: The objects that bpf/hedger.c is compiled to, by name.
VARIANTS: dict[str, Callable[[], KernelPrograms]] = {
    "clone": lambda: KernelPrograms(Build(testbed=True)),
}

#: Engines and delay lines that work together where the kernel has the qdisc.
ENGINES_AND_LINES = (("clone", "netem"), ("clone", "htb"))
