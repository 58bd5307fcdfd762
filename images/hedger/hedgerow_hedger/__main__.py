"""hedger.py: hedges the requests that leave by an interface, in the kernel, for clients that know nothing of it.

Standalone, for a real service:

    hedger.py --interface eth0 --service 192.0.2.10:53 --delay 10ms --request-id 0:2 --stats 1s

It works until SIGTERM or Ctrl-C, then removes everything that it made. Killed with -9 it leaves its programs in
place: they go on hedging by the same rules until another hedger on that interface, or `hedger.py --interface eth0
--detach`, removes them. The testbed runs the same program with --control and switches it from block to block.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from pyroute2 import IPRoute

from hedgerow_hedger import delay_link
from hedgerow_hedger.attachments import InterfaceLock
from hedgerow_hedger.control import HedgerSlot, add_operations
from hedgerow_hedger.hedger import CANNOT, Hedger, HedgerError, find_interface, remove_leftovers
from hedgerow_hedger.options import Standalone, parse_options
from hedgerow_hedger.programs import Build, EngineName, KernelPrograms, Mode
from hedgerow_node.control import ControlError
from hedgerow_node.ring import MIN_CELLS
from hedgerow_node.supervisor import Supervisor
from hedgerow_node.units import NS_PER_MS

if TYPE_CHECKING:
    from pathlib import Path

POLL_INTERVAL_NS = 200 * NS_PER_MS
EXIT_CANNOT = 4


def say(text: str) -> None:
    """Writes a message for the operator: to stderr, since stdout carries statistics."""
    print(f"hedger: {text}", file=sys.stderr, flush=True)


def detach(interface: str) -> None:
    """Removes what a killed hedger left on `interface`, also if that is gone by now."""
    with IPRoute() as ip:
        try:
            ifindex = find_interface(ip, interface)
        except HedgerError:
            ifindex = 0  # no interface has it, so only what was left of vanished ones is found
        lock = InterfaceLock(ifindex, interface)
        removed = remove_leftovers(ip, ifindex)
        lock.release()
    say(f"removed from {interface}: {', '.join(removed)}" if removed else f"nothing of a hedger on {interface}")


def probe() -> dict[str, object]:
    """What this kernel offers each engine: its delay lines and whether it takes the programs; null, or why not."""
    lines = delay_link.probe()
    return {
        "engines": {
            engine: {
                "delay_lines": {kind.name.lower(): lines[kind.name.lower()] for kind in kinds},
                "programs": _refusal(engine),
            }
            for engine, kinds in delay_link.LINES.items()
        }
    }


def _refusal(engine: EngineName) -> str | None:
    """Why the kernel does not take the engine's programs, if it does not."""
    try:
        programs = KernelPrograms(Build(engine, testbed=True, cells=MIN_CELLS))
        try:
            if engine == "queue":
                programs.load("drain")
        finally:
            programs.close()
    except Exception as error:  # bcc raises plain exceptions; any of them is the answer
        return f"{type(error).__name__}: {error}"
    return None


def work(control: Path | None, standalone: Standalone | None) -> None:
    """Hedges until stopped: what the command line says, or what comes over the control socket."""
    supervisor = Supervisor(control)
    slot = HedgerSlot(say, testbed=control is not None)
    try:
        add_operations(supervisor, slot)
        supervisor.every(POLL_INTERVAL_NS, slot.poll)
        if standalone is not None:
            _begin(standalone, supervisor, slot)
        supervisor.run()
        if standalone is not None and standalone.stats_interval_ns is not None:
            slot.hedger.set_mode(Mode.OFF)
            _print_statistics(slot.hedger)
    finally:
        slot.release()


def _begin(standalone: Standalone, supervisor: Supervisor, slot: HedgerSlot) -> None:
    hedger = slot.configure(standalone.assignment, standalone.interface, standalone.scoreboard_entries)
    if standalone.stats_interval_ns is not None:
        supervisor.every(standalone.stats_interval_ns, lambda: _print_statistics(hedger))
    hedger.set_mode(standalone.mode)
    how = f"engine {hedger.engine}, delay line {hedger.delay_line}"
    say(f"{standalone.mode.name.lower()} on {hedger.interface}, {how}")


def _print_statistics(hedger: Hedger) -> None:
    print(json.dumps(hedger.statistics().to_json()), flush=True)


def main(arguments: list[str]) -> int:
    """Exit codes: 0 done, 2 wrong usage, 4 something it needs is missing (the message says what)."""
    options = parse_options(arguments)
    try:
        if options.probe:
            print(json.dumps(probe()))
        elif options.detach is not None:
            detach(options.detach)
        else:
            work(options.control, options.standalone)
    except (*CANNOT, ControlError, OSError) as error:
        say(str(error))
        return EXIT_CANNOT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
