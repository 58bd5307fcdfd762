"""The deterministic chaos server: answers UDP requests after a service time, and stalls some of them.

This is the program to run. Its main process answers on the control socket and watches (`hedgerow_server.supervisor`);
a worker process serves (`hedgerow_server.worker`). Without a control socket it serves as its command line says.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hedgerow_node.addresses import format_endpoint, parse_endpoint
from hedgerow_node.arguments import reading, whole_number
from hedgerow_node.control import ControlError
from hedgerow_node.expression import parse
from hedgerow_node.protocol.server import ServiceSettings, ServiceTime, Stall
from hedgerow_node.supervisor import Supervisor
from hedgerow_node.units import parse_duration_ns
from hedgerow_node.wire import RequestIdPlaces, parse_place
from hedgerow_server.supervisor import ServerSupervisor, open_socket


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="server.py", description=__doc__.split("\n\n", maxsplit=1)[0])
    add, duration, place = parser.add_argument, reading(parse_duration_ns), reading(parse_place)
    add(
        "--listen",
        action="append",
        required=True,
        type=reading(parse_endpoint),
        metavar="ADDR:PORT",
        help="numeric address, [IPv6] in brackets; port 0 takes a free one; may be repeated. With 0.0.0.0 or [::] "
        "responses leave from the address that the routing table prefers",
    )
    add("--control", type=Path, metavar="PATH", help="answer control requests on this Unix socket")
    add("--service-time", type=duration, default="2ms", metavar="TIME", help="its median (default 2ms)")
    add("--sigma", type=float, default=0.0, help="lognormal service time of this sigma (default 0: constant)")
    add("--stall-when", type=reading(parse), metavar="CONDITION", help="stall these requests: 'id %% 100 < 2'")
    add("--stall-duration", type=duration, metavar="TIME", help="how long, on top of the service time")
    add("--heal-on-duplicate", action="store_true", help="do not stall a copy that follows another within a second")
    add("--concurrency", type=whole_number(1), metavar="N", help="serve N at a time, first in first out")
    add("--seed", type=int, default=42, help="of the lognormal service times (default 42)")
    add("--replica", type=whole_number(0, 255), default=0, help="this replica's number, written into responses")
    add("--request-id", type=place, default="0:4", metavar="OFFSET:LENGTH", help="in requests (default 0:4)")
    add("--response-id", type=place, default="0:4", metavar="OFFSET:LENGTH", help="in responses (default 0:4)")
    arguments = parser.parse_args(argv)
    if (arguments.stall_when is None) != (arguments.stall_duration is None):
        parser.error("--stall-when and --stall-duration need each other")
    if arguments.heal_on_duplicate and arguments.stall_when is None:
        parser.error("--heal-on-duplicate needs --stall-when")
    if not arguments.sigma >= 0:
        parser.error("--sigma must not be negative")
    return arguments


def _settings(arguments: argparse.Namespace) -> ServiceSettings:
    """How the command line wants requests served until a block says otherwise."""
    stall = None
    if arguments.stall_when is not None:
        stall = Stall(arguments.stall_when.text, arguments.stall_duration, arguments.heal_on_duplicate)
    return ServiceSettings(
        request_id=RequestIdPlaces(arguments.request_id, arguments.response_id),
        service_time=ServiceTime("lognormal", arguments.service_time, arguments.sigma),
        replica=arguments.replica,
        seed=arguments.seed,
        concurrency=arguments.concurrency,
        stall=stall,
    )


def main(argv: list[str]) -> int:
    """Serve until SIGTERM, SIGINT or the operation `stop`; returns the exit code."""
    arguments = _arguments(argv)
    try:
        sockets = [open_socket(host, port) for host, port in arguments.listen]
        supervisor = Supervisor(arguments.control)
    except (OSError, ControlError) as error:
        print(f"server: {error.strerror if isinstance(error, OSError) else error}", file=sys.stderr)
        return 1
    listening = ", ".join(format_endpoint(*opened.getsockname()[:2]) for opened in sockets)
    server = ServerSupervisor(supervisor, sockets, _settings(arguments), arguments.control is not None)
    print(f"server: listening on {listening}", file=sys.stderr, flush=True)
    supervisor.run()
    server.close()
    return 0 if server.death is None or arguments.control is not None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
