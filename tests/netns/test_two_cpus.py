"""A million requests whose copies are answered on two CPUs at once: exactly one answer wins, and all is counted.

Virtual machines run this too, with the kernels and the number of CPUs that they have.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

import support
from orchestrator.host.namespaces import inside
from support.pair import PORT, SERVER_HOSTS, Pair, ipv4, linked_pair, statistics
from support.policy import cannot_run

pytestmark = [pytest.mark.root, pytest.mark.timeout(1_200)]

_LONG = os.environ.get("HEDGEROW_LONG", "") not in ("", "0")
#: By engine: a million of the default one. Emulated machines take much longer. HEDGEROW_LONG has all everywhere.
REQUESTS = {"queue": 1_000_000, "clone": 1_000_000 if _LONG else 100_000}
if "HEDGEROW_GUEST" in os.environ and not _LONG:
    REQUESTS = dict.fromkeys(REQUESTS, 5_000)
BATCH = 128  #: two batches are as many requests as there are HTB lanes


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("two-cpus") / "two_cpus"
    source = Path(support.__file__).with_name("two_cpus.c")
    options = ("-O2", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-pthread")
    subprocess.run(["cc", *options, "-o", made, source], check=True)
    return made


def converse(program: Path, pair: Pair, requests: int) -> dict[str, int]:
    """What the program saw of the requests and their answers."""
    with ExitStack() as stack:
        client = stack.enter_context(pair.socket(socket.AF_INET))
        client.connect((ipv4(SERVER_HOSTS[0]), PORT))  # so that an answer from elsewhere does not reach it
        with inside(pair.server):
            replicas = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        for replica, host in zip(replicas, SERVER_HOSTS, strict=False):
            replica.bind((ipv4(host), PORT))
        sockets = [each.fileno() for each in (client, *replicas)]
        said = subprocess.check_output(
            [program, *map(str, sockets), str(requests), str(BATCH)], pass_fds=sockets, text=True
        )
    saw: dict[str, int] = json.loads(said)
    return saw


@pytest.mark.parametrize("engine", REQUESTS)
def test_of_two_answers_at_once_one_wins_and_all_are_counted(program: Path, engine: str) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        cannot_run("needs two CPUs")
    requests = REQUESTS[engine]
    with linked_pair() as pair:
        hedger = pair.hedge(
            f"--engine={engine}",
            f"--service={ipv4(SERVER_HOSTS[0])}:{PORT}",
            f"--replica={ipv4(SERVER_HOSTS[1])}:{PORT}",
            *("--delay=1ms", "--expiry=60s", "--burst=1000", "--stats=600s"),
        )
        saw = converse(program, pair, requests)
        counted = statistics(hedger)["counters"]
    assert (saw["once"], saw["more"], saw["never"]) == (requests, 0, 0)
    assert (saw["primaries"], counted["requests"], counted["answered"]) == (requests,) * 3
    assert saw["hedges"] == counted["hedges_sent"]
    assert saw["answered_by_both"] == counted["duplicates_dropped"]
    never = (
        "duplicates_passed",
        "in_unmatched",
        "in_bad_checksum",
        "in_rewrite_failed",
        "hedges_untracked",
        "resent",
    )
    assert {name: counted[name] for name in never} == dict.fromkeys(never, 0)
    # It would prove nothing if hardly any were answered twice, or if the same replica won each time.
    assert saw["answered_by_both"] > 0.5 * requests
    assert 0.01 * requests < counted["hedges_won"] < 0.99 * requests
