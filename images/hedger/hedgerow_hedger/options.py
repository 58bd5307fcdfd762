"""The hedger's command line: read, checked against what the programs can do, refused by name where it cannot be."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from hedgerow_hedger.programs import SCOREBOARD_ENTRIES, Mode
from hedgerow_node.addresses import parse_endpoint
from hedgerow_node.arguments import reading
from hedgerow_node.lanes import MAX_DELAY_NS, MIN_DELAY_NS
from hedgerow_node.protocol.hedger import Assignment, DelayLine, Engine, Target, checked_run_id
from hedgerow_node.protocol.limits import MAX_REPLICAS, MAX_SERVICES
from hedgerow_node.units import NS_PER_S, parse_duration_ns, parse_ratio
from hedgerow_node.wire import RequestIdPlaces, parse_place

if TYPE_CHECKING:
    from collections.abc import Sequence

MODES = {mode.name.lower(): mode for mode in (Mode.HEDGE, Mode.TAP, Mode.OFF)}


@dataclass(frozen=True)
class Standalone:
    """A service to hedge without a testbed."""

    interface: str
    assignment: Assignment
    scoreboard_entries: int
    mode: Mode
    stats_interval_ns: int | None  #: None: no statistics


@dataclass(frozen=True)
class Options:
    """What the command line asks for; without `standalone` the assignment comes over the control socket."""

    standalone: Standalone | None
    control: Path | None
    probe: bool
    detach: str | None  #: the interface to free


def _parser() -> argparse.ArgumentParser:
    duration, endpoint, place = reading(parse_duration_ns), reading(parse_endpoint), reading(parse_place)
    parser = argparse.ArgumentParser(
        prog="hedger.py",
        description="Hedges UDP requests in the kernel: a second copy leaves when the first got no answer in time,"
        " the first response wins, the loser's is dropped.",
    )
    add = parser.add_argument
    add("--interface", metavar="NAME", help="where the requests leave")
    add(
        "--service",
        metavar="ADDR:PORT",
        type=endpoint,
        action="append",
        default=[],
        help="where clients send requests; repeatable",
    )
    add("--delay", metavar="TIME", type=duration, help="hedge delay, e.g. 10ms")
    add("--request-id", metavar="OFFSET:LENGTH", type=place, help="where a request's payload has its id, in bytes")
    add("--response-id", metavar="OFFSET:LENGTH", type=place, help="the same for responses (default: as in requests)")
    add("--copy-id", metavar="OFFSET:1", type=place, help="where a response says which copy it answers, if it does")
    add(
        "--replica",
        metavar="ADDR:PORT",
        type=endpoint,
        action="append",
        default=[],
        help="another replica of the service: a request to any of them is hedged with the others in turn; repeatable",
    )
    add("--target", choices=get_args(Target), help="where hedges go (default: other where there is a --replica)")
    add("--engine", choices=get_args(Engine), default="auto", help="how requests are held back (default: auto)")
    add("--delay-line", choices=get_args(DelayLine), default="auto", help="what holds them (default: auto)")
    add(
        "--budget",
        metavar="PERCENT",
        type=reading(parse_ratio),
        default=1.0,
        help="hedges per request (default: 100%%)",
    )
    add(
        "--burst", metavar="N", type=int, default=100, help="hedges that may exceed the budget at once (default: 100)"
    )
    add(
        "--expiry",
        metavar="TIME",
        type=duration,
        help="age at which a request is forgotten (default: 10 delays, ≥ 2s)",
    )
    add(
        "--entries",
        metavar="N",
        type=int,
        default=SCOREBOARD_ENTRIES,
        help="requests remembered (default: %(default)s)",
    )
    add("--mode", choices=list(MODES), default="hedge", help="hedge, tap (only observe) or off (default: hedge)")
    add("--stats", metavar="TIME", type=duration, help="print statistics as a JSON line this often")
    add(
        "--control",
        metavar="PATH",
        type=Path,
        help="answer on this Unix socket; without --interface and --service, wait there for instructions",
    )
    add("--run-id", metavar="ID", type=reading(checked_run_id), help="six characters in the delay link's name")
    add("--probe", action="store_true", help="print what this kernel offers, as JSON, and end")
    add("--detach", action="store_true", help="remove what a killed hedger left on --interface, and end")
    return parser


def parse_options(arguments: Sequence[str]) -> Options:
    """Exits with 2 and a message on stderr where the command line is wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.detach and not given.interface:
        parser.error("missing: --interface")
    is_controlled = given.control is not None and not given.interface and not given.service
    return Options(
        standalone=None if given.probe or given.detach or is_controlled else _standalone(parser, given),
        control=given.control,
        probe=given.probe,
        detach=given.interface if given.detach else None,
    )


def _standalone(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Standalone:
    required = ("interface", "service", "delay", "request_id")
    missing = [f"--{name.replace('_', '-')}" for name in required if not getattr(given, name)]
    complaint = f"missing: {', '.join(missing)}" if missing else _complaint(given)
    if complaint:
        parser.error(complaint)
    assignment = Assignment(
        services=tuple((service, *given.replica) for service in given.service),
        target=given.target or ("other" if given.replica else "same"),
        request_id=RequestIdPlaces(given.request_id, given.response_id or given.request_id),
        copy_id=given.copy_id,
        delay_ns=given.delay,
        expiry_ns=given.expiry or max(10 * given.delay, 2 * NS_PER_S),
        delay_line=given.delay_line,
        engine=given.engine,
        budget_ratio=given.budget,
        budget_burst=given.burst,
        run_id=given.run_id,
    )
    return Standalone(given.interface, assignment, given.entries, MODES[given.mode], given.stats)


def _complaint(given: argparse.Namespace) -> str | None:
    addresses = [(ip_address(host), port) for host, port in [*given.service, *given.replica]]
    rules = [
        (len(given.service) > MAX_SERVICES, f"--service: at most {MAX_SERVICES}"),
        (len(given.replica) >= MAX_REPLICAS, f"--replica: at most {MAX_REPLICAS - 1}"),
        (given.target == "other" and not given.replica, "--target other: needs a --replica"),
        (given.replica and len(given.service) > 1, "--replica: only with one --service"),
        (len(set(addresses)) < len(addresses), "--service, --replica: an address is named twice"),
        (
            len({host.version for host, _ in addresses}) > 1 and given.replica,
            "--replica: of another family than --service",
        ),
        (not MIN_DELAY_NS <= given.delay <= MAX_DELAY_NS, "--delay: from 100us to 60s"),
        (given.expiry is not None and given.expiry <= given.delay, "--expiry: must be longer than --delay"),
        (
            given.engine == "queue" and given.delay_line == "netem",
            "--delay-line netem: the engine queue has no use for it; ask for --engine clone",
        ),
        (given.copy_id is not None and given.copy_id.length != 1, "--copy-id: one byte long, e.g. 4:1"),
        (not 1 <= given.burst <= 1_000_000, "--burst: from 1 to 1000000"),
        (not 1024 <= given.entries <= 1 << 24, "--entries: from 1024 to 16777216"),
        (given.stats is not None and given.stats <= 0, "--stats: longer than nothing"),
    ]
    return next((text for broken, text in rules if broken), None)
