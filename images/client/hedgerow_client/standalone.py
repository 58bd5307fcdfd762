"""Running one block from the command line: the way to try a server, or a hedger, without the testbed around it."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hedgerow_client.worker import run_block
from hedgerow_node.addresses import parse_endpoint
from hedgerow_node.arguments import reading, whole_number
from hedgerow_node.percentiles import nearest_rank
from hedgerow_node.protocol.client import BlockSettings, ClosedArrivals, IdRange, OpenArrivals
from hedgerow_node.records import FIRST_WARMUP_ID, NO_TIME, Sample, write_rows
from hedgerow_node.strategies import CLIENT_STRATEGIES, strategy_named
from hedgerow_node.units import NS_PER_MS, parse_duration_ns, parse_rate_per_s
from hedgerow_node.wire import MAX_PAYLOAD, RequestIdPlaces, parse_place
from hedgerow_node.workload import PROCESSES, SPREADS, TARGETS

if TYPE_CHECKING:
    from hedgerow_client.ledger import Ledger

#: Programs need a supervisor beside them.
_STRATEGIES = [name for name in CLIENT_STRATEGIES if not strategy_named(name).compiled]
_PERCENTS = {"p50": 50, "p95": 95, "p99": 99, "max": 100}


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    """The client's command line; ends the program, with exit code 2, where it is wrong."""
    parser = argparse.ArgumentParser(
        prog="client.py",
        description="Send UDP requests and record what became of each, on request or as given here.",
    )
    add, duration, place = parser.add_argument, reading(parse_duration_ns), reading(parse_place)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--control", type=Path, metavar="PATH", help="wait for blocks on this Unix socket")
    mode.add_argument(
        "--server",
        type=reading(parse_endpoint),
        action="append",
        metavar="ADDR:PORT",
        help="run one block against it; given several times, against these replicas",
    )
    add("--strategy", choices=_STRATEGIES, default="baseline", help="default baseline")
    add("--requests", type=whole_number(1), default=300, metavar="N", help="default 300")
    add("--warmup", type=whole_number(0), default=20, metavar="N", help="requests that enter no figure (default 20)")
    add("--spread", choices=SPREADS, default="first", help="replicas that requests are sent to (default first)")
    add("--target", choices=TARGETS, default="same", help="replica that a hedge of app-… goes to (default same)")
    add("--users", type=whole_number(1), default=1, metavar="N", help="a socket each (default 1)")
    add("--think", type=duration, default="1ms", metavar="TIME", help="a user's pause between requests (default 1ms)")
    add("--rate", type=reading(parse_rate_per_s), metavar="RATE", help="send by a schedule, answered or not: 500/s")
    add("--process", choices=PROCESSES, default="poisson", help="of that schedule (default poisson)")
    add("--seed", type=int, default=42, help="of that schedule (default 42)")
    add("--payload", type=whole_number(1, MAX_PAYLOAD), default=64, metavar="BYTES", help="default 64")
    add("--delay", type=duration, default="10ms", metavar="TIME", help="hedge delay of app-… (default 10ms)")
    add("--timeout", type=duration, default="1s", metavar="TIME", help="a request's (default 1s)")
    add("--drain", type=duration, default="1s", metavar="TIME", help="wait for late copies at the end (default 1s)")
    add("--request-id", type=place, default="0:4", metavar="OFFSET:LENGTH", help="in requests (default 0:4)")
    add("--response-id", type=place, default="0:4", metavar="OFFSET:LENGTH", help="in responses (default 0:4)")
    add("--samples", type=Path, metavar="FILE", help="also write a record a request to this file")
    return parser.parse_args(argv)


def run_standalone(arguments: argparse.Namespace) -> int:
    """Run the block that the command line describes and print its report, one JSON object; returns the exit code."""
    try:
        settings = BlockSettings(
            strategy=arguments.strategy,
            servers=tuple(arguments.server),
            spread=arguments.spread,
            target=arguments.target,
            requests=IdRange(0, arguments.requests),
            warmup=IdRange(FIRST_WARMUP_ID, arguments.warmup),
            payload=arguments.payload,
            timeout_ns=arguments.timeout,
            arrivals=_arrivals(arguments),
            hedge_delay_ns=arguments.delay,
            places=RequestIdPlaces(arguments.request_id, arguments.response_id),
            drain_ns=arguments.drain,
        )
        result = run_block(settings)
        if arguments.samples is not None:
            write_rows(arguments.samples, result.ledger.rows(), Sample)
    except (ValueError, OSError) as error:
        print(f"client: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    except KeyboardInterrupt:
        return 130
    print(
        json.dumps(
            {"strategy": settings.strategy, **result.report.to_json(), "latency_ms": latencies_ms(result.ledger)}
        )
    )
    return 0


def _arrivals(arguments: argparse.Namespace) -> ClosedArrivals | OpenArrivals:
    if arguments.rate is None:
        return ClosedArrivals(arguments.users, arguments.think)
    return OpenArrivals(arguments.process, arguments.rate, arguments.seed, arguments.users)


def latencies_ms(ledger: Ledger) -> dict[str, float | None]:
    """Nearest-rank quantiles of the latency in milliseconds, counted from when a request should have left.

    None where one falls among unanswered requests.
    """
    latencies_ns = sorted(
        math.inf if received_ns == NO_TIME else received_ns - intended_ns
        for intended_ns, received_ns in zip(ledger.intended_ns, ledger.received_ns, strict=True)
    )
    picked = {name: nearest_rank(latencies_ns, percent) for name, percent in _PERCENTS.items()}
    return {name: None if math.isinf(value) else round(value / NS_PER_MS, 3) for name, value in picked.items()}
