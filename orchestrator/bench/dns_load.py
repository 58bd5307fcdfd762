"""nsd with one zone, and dnsperf asking it: a server that answers in microseconds, under all the load it can bear."""

from __future__ import annotations

import re
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.bench.dns_query import NAMES, ZONE, host, query
from orchestrator.bench.stage import CLIENT, SERVERS
from orchestrator.errors import RunError
from orchestrator.host.namespaces import inside
from orchestrator.topology.bridged import server_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.bench.services import Services
    from orchestrator.bench.stage import Program, Stage

PORT = 53
SOCKETS = 4  #: of dnsperf
OUTSTANDING = 100  #: queries that dnsperf leaves unanswered at most
_READY_TIMEOUT_S = 20.0
_POLL_S = 0.05
_PATIENCE_S = 30.0  #: beyond what dnsperf was asked to take

_CONFIGURATION = """\
server:
  server-count: 1
  ip-address: {address}
  port: {port}
  username: ""
  database: ""
  pidfile: ""
  zonesdir: "{folder}"
  xfrdir: "{folder}"
  xfrdfile: ""
  zonelistfile: "{folder}/zone.list"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: "{zone}"
  zonefile: "{folder}/zone"
"""

_ZONE = f"""\
$ORIGIN {ZONE}.
$TTL 60
@ SOA ns hostmaster 1 3600 900 604800 60
@ NS ns
ns A 192.0.2.53
* A 192.0.2.1
"""


@dataclass(frozen=True)
class Load:
    """What dnsperf reports of one run of it."""

    sent: int
    completed: int
    lost: int
    per_second: float


def parse_dnsperf(text: str) -> Load:
    """Reads dnsperf's statistics; RunError where they are not there."""
    found = dict(re.findall(r"^ *(Queries (?:sent|completed|lost|per second)): +([0-9.]+)", text, re.MULTILINE))
    try:
        sent, completed, lost = (int(found[f"Queries {what}"]) for what in ("sent", "completed", "lost"))
        return Load(sent, completed, lost, float(found["Queries per second"]))
    except KeyError as error:
        raise RunError(f"dnsperf reported no {error.args[0]!r}", "is this another version of dnsperf?") from error


@contextmanager
def nsd(stage: Stage, services: Services, replica: int) -> Iterator[Program]:
    """A server that answers at the address of `replica`; RunError where it does not come up."""
    folder = stage.folder / f"nsd-{replica}-{time.monotonic_ns()}"
    folder.mkdir()
    (folder / "zone").write_text(_ZONE, encoding="utf-8")
    text = _CONFIGURATION.format(address=server_address(replica), port=PORT, folder=folder, zone=ZONE)
    (folder / "nsd.conf").write_text(text, encoding="utf-8")
    command = [*services.nsd, "-d", "-c", str(folder / "nsd.conf")]
    with stage.running(SERVERS[replica], f"nsd-{replica}", command) as program:
        _wait_until_it_answers(stage, program, server_address(replica))
        yield program


def _wait_until_it_answers(stage: Stage, program: Program, address: str) -> None:
    with inside(stage.namespace(CLIENT)):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        client.settimeout(_POLL_S)
        client.connect((address, PORT))
        deadline_s = time.monotonic() + _READY_TIMEOUT_S
        while program.is_running and time.monotonic() < deadline_s:
            try:
                client.send(query(0, host(0)))
                client.recv(2_048)
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                time.sleep(_POLL_S)
                continue
            return
    raise RunError(f"nsd does not answer: {program.words}", "is the host overloaded?")


def write_queries(path: Path) -> Path:
    """dnsperf's input: a name a line."""
    path.write_text("".join(f"{host(number)} A\n" for number in range(NAMES)), encoding="utf-8")
    return path


def dnsperf(stage: Stage, services: Services, seconds: float) -> Load:
    """Asks server 0 as fast as it answers."""
    queries = stage.folder / "queries"
    if not queries.exists():
        write_queries(queries)
    command = [*services.dnsperf, "-s", server_address(0), "-p", str(PORT), "-d", str(queries)]
    command += ["-c", str(SOCKETS), "-q", str(OUTSTANDING), "-l", f"{seconds:g}"]
    return parse_dnsperf(stage.run(CLIENT, "dnsperf", command, seconds + _PATIENCE_S))
