"""The hedger as an engineer uses it: outside the testbed, beside a real client, in front of a real service."""

from __future__ import annotations

import signal
import socket
from contextlib import ExitStack

import pytest

from orchestrator.host.namespaces import inside
from orchestrator.topology.programs import HEDGER
from support.conversation import Conversation
from support.pair import PATIENCE_S, PORT, SERVER_HOSTS, Pair, ipv4, ipv6, statistics

pytestmark = pytest.mark.root

#: One request in five is stalled for far longer than the hedge delay, and answered at once when it comes again.
STALLING = ("--service-time=1ms", "--stall-when=id % 5 == 0", "--stall-duration=300ms", "--heal-on-duplicate")
DELAY = ("--delay=10ms", "--copy-id=4:1")
#: Statistics once, at the end: they come with an interval that no test reaches, and when the hedger ends.
AT_THE_END = "--stats=60s"
IDS = range(50)
STALLED = len(IDS) // 5
REASONS = ["truncated", "not_ip", "bad_header", "fragment", "routing_header", "too_many_headers", "not_udp", "gso"]
SERVICE, OTHER_REPLICA, THIRD_REPLICA = SERVER_HOSTS
ADDRESSES = {"IPv4": (socket.AF_INET, ipv4), "IPv6": (socket.AF_INET6, ipv6)}


def endpoint(family: str, host: int = SERVICE) -> str:
    return f"[{ipv6(host)}]:{PORT}" if family == "IPv6" else f"{ipv4(host)}:{PORT}"


def assert_reconciled(counters: dict[str, int]) -> None:
    """The equations of bpf/counters.h, with nothing left waiting in the delay line."""

    def total(prefix: str, *names: str) -> int:
        return sum(counters[f"{prefix}_{reason}"] for reason in REASONS) + sum(counters[name] for name in names)

    left = ("requests", "resent", "hedges_sent", "hedges_untracked", "late_dropped")
    assert counters["out_seen"] == total("out", "out_not_service", "out_no_id", "out_struck", *left)
    arrived = ("in_bad_checksum", "answered", "duplicates_dropped", "duplicates_passed", "in_rewrite_failed")
    assert counters["in_seen"] == total("in", "in_not_service", "in_no_id", "in_unmatched", *arrived)
    not_armed = ["reused_early", "lane_busy", "clone_failed", "clone_congested"]
    not_armed += ["queue_full", "queue_broken", "too_large", "copy_failed"]
    assert counters["requests"] == counters["armed"] + sum(counters[name] for name in not_armed)
    ends = ("rescued", "cancelled", "early", "late", "budget_denied", "lost", "outdated", "disarmed", "rescue_failed")
    assert counters["armed"] == sum(counters[name] for name in (*ends, "hedge_link_failed"))
    assert counters["rescued"] == sum(counters[name] for name in ("hedges_sent", "hedges_untracked", "late_dropped"))


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "unconnected"])
@pytest.mark.parametrize("family", ADDRESSES)
def test_hedged_answers_arrive_and_duplicates_do_not(pair: Pair, family: str, connected: bool) -> None:
    number, address = ADDRESSES[family]
    pair.serve(*STALLING)
    hedger = pair.hedge(f"--service={endpoint(family)}", *DELAY, AT_THE_END)
    with pair.socket(number) as client:
        talk = Conversation(client, (address(SERVICE), PORT), connected)
        talk.ask(IDS)
        talk.listen(0.5)  # the stalled answers come 300 ms late
    assert talk.copies == dict.fromkeys(IDS, 1)
    assert talk.sources == {address(SERVICE)}
    last = statistics(hedger)
    counters = last["counters"]
    assert_reconciled(counters)
    assert counters["requests"] == counters["answered"] == len(IDS)
    assert counters["hedges_sent"] >= STALLED
    assert counters["duplicates_dropped"] == counters["hedges_sent"]
    assert last["latency_us"]["p50"] > 1_000
    assert pair.hooks() == []
    assert not any(name.startswith("hr") for name in pair.links())


@pytest.mark.parametrize("family", ADDRESSES)
def test_answers_of_another_replica_come_from_the_primarys_address(pair: Pair, family: str) -> None:
    number, address = ADDRESSES[family]
    pair.serve("--service-time=1ms", "--stall-when=id % 5 == 0", "--stall-duration=300ms", hosts=[SERVICE])
    pair.serve("--service-time=1ms", "--replica=1", hosts=[OTHER_REPLICA])
    hedger = pair.hedge(
        f"--service={endpoint(family)}", f"--replica={endpoint(family, OTHER_REPLICA)}", *DELAY, AT_THE_END
    )
    with pair.socket(number) as client:
        talk = Conversation(client, (address(SERVICE), PORT), connected=True)
        talk.ask(IDS)
        talk.listen(0.5)
    assert talk.copies == dict.fromkeys(IDS, 1)
    assert talk.sources == {address(SERVICE)}
    counters = statistics(hedger)["counters"]
    assert_reconciled(counters)
    assert counters["hedges_won"] >= STALLED


@pytest.mark.parametrize("family", ADDRESSES)
def test_clients_with_the_same_ids_may_use_any_of_three_replicas(pair: Pair, family: str) -> None:
    """The second one stalls everything: whoever asked it is answered by the others, seemingly from where it asked."""
    number, address = ADDRESSES[family]
    pair.serve("--service-time=1ms", hosts=[SERVICE])
    pair.serve("--stall-when=id >= 0", "--stall-duration=1s", "--replica=1", hosts=[OTHER_REPLICA])
    pair.serve("--service-time=1ms", "--replica=2", hosts=[THIRD_REPLICA])
    others = [f"--replica={endpoint(family, host)}" for host in SERVER_HOSTS[1:]]
    hedger = pair.hedge(f"--service={endpoint(family)}", *others, *DELAY, AT_THE_END)
    with ExitStack() as stack:
        talks = [
            Conversation(stack.enter_context(pair.socket(number)), (address(host), PORT)) for host in SERVER_HOSTS
        ]
        for request_id in IDS:
            for talk in talks:
                talk.send(request_id)
        for talk in talks:
            talk.listen(1.2)
    for talk, host in zip(talks, SERVER_HOSTS, strict=True):
        assert talk.copies == dict.fromkeys(IDS, 1)
        assert talk.sources == {address(host)}
    counters = statistics(hedger)["counters"]
    assert_reconciled(counters)
    assert counters["requests"] == counters["answered"] == 3 * len(IDS)
    assert counters["hedges_won"] >= len(IDS)


def test_requests_larger_than_the_usual_packet_are_hedged_too(pair: Pair) -> None:
    pair.serve(*STALLING)
    hedger = pair.hedge(f"--service={endpoint('IPv4')}", *DELAY, AT_THE_END)
    with pair.socket(socket.AF_INET) as client:
        talk = Conversation(client, (ipv4(SERVICE), PORT), size=4_000)
        talk.ask(IDS)
    assert statistics(hedger)["counters"]["hedges_won"] >= STALLED


def test_two_clients_that_use_the_same_ids_at_once(pair: Pair) -> None:
    pair.serve(*STALLING)
    hedger = pair.hedge(f"--service={endpoint('IPv4')}", *DELAY, AT_THE_END)
    with pair.socket(socket.AF_INET) as first, pair.socket(socket.AF_INET) as second:
        talks = [Conversation(client, (ipv4(SERVICE), PORT)) for client in (first, second)]
        for request_id in IDS:
            for talk in talks:
                talk.send(request_id)
        for talk in talks:
            talk.listen(0.5)
    assert [talk.copies for talk in talks] == [dict.fromkeys(IDS, 1)] * 2
    counters = statistics(hedger)["counters"]
    assert_reconciled(counters)
    assert counters["answered"] == 2 * len(IDS)
    assert counters["hedges_won"] >= 2 * STALLED


def test_after_sigkill_the_traffic_goes_on_and_the_next_hedger_cleans_up(pair: Pair) -> None:
    pair.serve(*STALLING)
    service = f"--service={endpoint('IPv4')}"
    hedger = pair.hedge(service, *DELAY)
    hedger.send_signal(signal.SIGKILL)
    hedger.wait(PATIENCE_S)
    assert pair.hooks() == ["hedgerow:responder", "hedgerow:splitter"]
    with pair.socket(socket.AF_INET) as client:
        talk = Conversation(client, (ipv4(SERVICE), PORT))
        talk.ask(IDS)
        talk.listen(0.5)
    assert talk.copies == dict.fromkeys(IDS, 1)
    links = pair.links()
    successor = pair.hedge(service, *DELAY, AT_THE_END)
    assert pair.hooks() == ["hedgerow:responder", "hedgerow:splitter"]
    assert len(pair.links()) == len(links)
    assert statistics(successor)["counters"]["requests"] == 0
    assert pair.hooks() == []


def test_detach_removes_what_a_killed_hedger_left_and_nothing_else(pair: Pair) -> None:
    match_nothing = 'bpf bytecode "1,6 0 0 0"'
    pair.change("tc", "qdisc add dev eth0 clsact", f"filter add dev eth0 egress pref 7 protocol ip {match_nothing}")
    pair.serve(*STALLING)
    links = pair.links()
    hedger = pair.hedge(f"--service={endpoint('IPv4')}", *DELAY)
    hedger.kill()
    hedger.wait(PATIENCE_S)
    done = pair.start(pair.client, HEDGER, "--interface=eth0", "--detach")
    _, said = done.communicate(timeout=PATIENCE_S)
    assert done.returncode == 0
    assert "removed from eth0: hedgerow:splitter, hedgerow:responder" in said
    assert (pair.hooks(), pair.links()) == ([], links)
    assert [entry["pref"] for entry in pair.show("tc", "filter", "show", "dev", "eth0", "egress")] == [7, 7]
    again = pair.start(pair.client, HEDGER, "--interface=eth0", "--detach")
    assert "nothing of a hedger on eth0" in again.communicate(timeout=PATIENCE_S)[1]


def test_a_second_hedger_on_the_interface_is_refused(pair: Pair) -> None:
    service = f"--service={endpoint('IPv4')}"
    pair.hedge(service, *DELAY)
    second = pair.start(pair.client, HEDGER, "--interface=eth0", "--request-id=0:4", service, *DELAY)
    _, said = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 4
    assert said == "hedger: another hedger is at work on eth0; stop it first\n"
    assert pair.hooks() == ["hedgerow:responder", "hedgerow:splitter"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--interface=lo", "--engine=clone"], 4, "lo: the kernel drops the engine clone's hedges on here"),
        (
            ["--interface=eth0", "--engine=queue", "--delay-line=netem"],
            2,
            "--delay-line netem: the engine queue has no use for it",
        ),
        (["--interface=eth7"], 4, "eth7: no such interface in this network namespace; see `ip link`"),
        (["--interface=eth0", "--delay=50us"], 2, "--delay: from 100us to 60s"),
        (["--interface=eth0", "--delay=10"], 2, "'10' is not a duration"),
        (["--interface=eth0", "--replica=[fd09::3]:9000"], 2, "--replica: of another family than --service"),
        (["--interface=eth0", "--target=other"], 2, "--target other: needs a --replica"),
        (["--interface=eth0", "--expiry=1ms"], 2, "--expiry: must be longer than --delay"),
        (["--interface=eth0", "--copy-id=4:2"], 2, "--copy-id: one byte long"),
        (["--interface=eth0", "--replica=10.9.0.2:9000"], 2, "an address is named twice"),
    ],
)
def test_wrong_options_are_refused_by_name(pair: Pair, arguments: list[str], code: int, said: str) -> None:
    given = ["--service=10.9.0.2:9000", "--request-id=0:4", "--delay=10ms", *arguments]
    process = pair.start(pair.client, HEDGER, *given)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code
    assert said in errors
    assert (pair.hooks(), {name for name in pair.links() if name.startswith("hr")}) == ([], set())


def test_when_its_interface_goes_away_the_hedger_says_so_and_ends(pair: Pair) -> None:
    hedger = pair.hedge(f"--service={endpoint('IPv4')}", *DELAY, AT_THE_END)
    pair.change("ip", "link delete eth0")
    _, errors = hedger.communicate(timeout=PATIENCE_S)
    assert (hedger.returncode, errors) == (4, "hedger: eth0 is gone; start again when it is back\n")
    assert not any(name.startswith("hr") for name in pair.links())


def test_the_delay_link_of_a_killed_hedger_is_found_even_without_its_interface(pair: Pair) -> None:
    hedger = pair.hedge(f"--service={endpoint('IPv4')}", *DELAY)
    hedger.kill()
    hedger.wait(PATIENCE_S)
    pair.change("ip", "link delete eth0")
    assert any(name.startswith("hr") for name in pair.links())
    done = pair.start(pair.client, HEDGER, "--interface=eth0", "--detach")
    done.communicate(timeout=PATIENCE_S)
    assert done.returncode == 0
    assert not any(name.startswith("hr") for name in pair.links())


def test_a_clsact_that_was_there_before_stays_and_one_of_its_own_goes(pair: Pair) -> None:
    def kinds() -> set[str]:
        return {qdisc["kind"] for qdisc in pair.show("tc", "qdisc", "show", "dev", "eth0")}

    statistics(pair.hedge(f"--service={endpoint('IPv4')}", *DELAY, AT_THE_END))
    assert "clsact" not in kinds()
    pair.change("tc", "qdisc add dev eth0 clsact")
    statistics(pair.hedge(f"--service={endpoint('IPv4')}", *DELAY, AT_THE_END))
    assert "clsact" in kinds()


def test_an_ingress_qdisc_in_the_way_is_named(pair: Pair) -> None:
    pair.change("tc", "qdisc add dev eth0 ingress")
    process = pair.start(
        pair.client, HEDGER, "--interface=eth0", "--request-id=0:4", f"--service={endpoint('IPv4')}", *DELAY
    )
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 4
    assert "a qdisc ingress leaves no room for the programs" in errors
    assert not any(name.startswith("hr") for name in pair.links())


def test_hedges_that_find_no_way_out_are_counted_as_lost(pair: Pair) -> None:
    pair.serve(*STALLING)
    unused = f"--replica={ipv4(77)}:{PORT}"
    hedger = pair.hedge(f"--service={endpoint('IPv4')}", unused, *DELAY, AT_THE_END)
    with pair.socket(socket.AF_INET) as client:
        talk = Conversation(client, (ipv4(SERVICE), PORT))
        talk.ask(range(20))
    assert talk.copies == dict.fromkeys(range(20), 1)
    last = statistics(hedger)
    assert last["hedges_lost"] == last["counters"]["rescued"] >= 4
    assert last["counters"]["hedges_sent"] == 0


def test_a_service_that_answers_in_several_datagrams_loses_none_while_nothing_is_hedged(pair: Pair) -> None:
    """Three answers to one request; the hedge delay is longer than they take."""
    hedger = pair.hedge(f"--service={endpoint('IPv4')}", "--delay=5s", AT_THE_END)
    with inside(pair.server), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind((ipv4(SERVICE), PORT))
        with pair.socket(socket.AF_INET) as client:
            talk = Conversation(client, (ipv4(SERVICE), PORT))
            talk.send(5)
            payload, source = service.recvfrom(1000)
            for _ in range(3):
                service.sendto(payload, source)
            talk.listen(0.3)
    assert talk.copies == {5: 3}
    counters = statistics(hedger)["counters"]
    assert (counters["answered"], counters["duplicates_passed"], counters["duplicates_dropped"]) == (1, 2, 0)
