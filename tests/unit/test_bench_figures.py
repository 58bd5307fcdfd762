"""What the parts of the bench compute from what was counted."""

from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from hedgerow_node.units import NS_PER_MS
from orchestrator.bench.dns import throughputs
from orchestrator.bench.dns_load import Load, parse_dnsperf
from orchestrator.bench.dns_query import host, query
from orchestrator.bench.figures import median, quantiles_ms, ratio
from orchestrator.bench.hedgers import Armed, reasons_not_armed
from orchestrator.bench.hooks import costs
from orchestrator.bench.lateness import Lateness, LatenessRound
from orchestrator.bench.open_arrivals import MAX_QUERIES, Arrivals, ask
from orchestrator.bench.program_costs import EMPTY, Runs
from orchestrator.bench.setting import BARE, interleaved
from orchestrator.bench.stalls import StallRound, Stalls
from orchestrator.bench.table import lines
from orchestrator.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator

DNSPERF = """\
Statistics:

  Queries sent:         84006
  Queries completed:    84002 (100.00%)
  Queries lost:         4 (0.00%)

  Average packet size:  request 36, response 52
  Run time (s):         1.003853
  Queries per second:   83683.567215
"""
NOTHING_ARMED = Armed(0, 0, {})


def test_what_dnsperf_reports_is_read() -> None:
    assert parse_dnsperf(DNSPERF) == Load(84_006, 84_002, 4, 83_683.567215)


def test_another_report_is_refused_by_the_name_of_what_is_missing() -> None:
    with pytest.raises(RunError, match="Queries lost"):
        parse_dnsperf(DNSPERF.replace("Queries lost", "Queries gone"))


def test_unanswered_requests_count_as_infinitely_late() -> None:
    answered_ns = [number * NS_PER_MS for number in range(1, 99)]
    assert quantiles_ms(answered_ns, 2) == {"p50": 50.0, "p90": 90.0, "p99": None, "max": None}
    assert quantiles_ms([*answered_ns, 99 * NS_PER_MS], 1)["p99"] == 99.0
    assert quantiles_ms([], 0) == {"p50": None, "p90": None, "p99": None, "max": None}


def test_a_ratio_is_taken_within_each_round() -> None:
    slow_and_fast = [10.0, 20.0, 40.0, 80.0, 160.0, 320.0]
    value, low, high = ratio([each / 2 for each in slow_and_fast], slow_and_fast)
    assert (value, low, high) == (0.5, 0.5, 0.5)
    value, low, high = ratio([8.0, 9.0, 9.5, 8.5, 9.0, 9.2], [10.0] * 6)
    assert low is not None
    assert high is not None
    assert low < value == 0.9 < high
    assert low > 0.7
    assert high < 1.0


def test_too_few_rounds_give_no_interval() -> None:
    assert ratio([5.0], [10.0]) == (0.5, None, None)


def test_the_median_is_a_value_that_occurred() -> None:
    assert median([4.0, 1.0, 3.0, 2.0]) == 2.0
    assert median([3.0, 1.0, 2.0]) == 2.0


def test_every_condition_has_one_turn_a_round_and_each_begins_in_turn() -> None:
    turns = list(interleaved(("a", "b", "c"), 3))
    assert [condition for _, condition in turns] == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert [number for number, _ in turns] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_costs_of_hooks_are_by_run_and_by_request() -> None:
    done = {
        "splitter": Runs(200_000, 200),
        "responder": Runs(80_000, 160),
        "drain": Runs(0, 0),
        EMPTY: Runs(10_000, 200),
    }
    found = costs("queue", "hedge on eth0", 250_000, [(done, 200, 1e4)] * 3, NOTHING_ARMED)
    assert found.ns_a_run == {"splitter": 1000.0, "responder": 500.0, EMPTY: 50.0}
    assert found.runs_a_request == {"splitter": 1.0, "responder": 0.8}
    assert found.ns_a_request == 1400.0  # (200,000 + 80,000) / 200
    assert found.net_ns_a_request == 1310.0  # less 50 ns for each of 1.8 runs
    assert found.rounds_ns_a_request == (1400.0,) * 3


def test_a_program_that_ran_in_some_rounds_only_counts_in_the_sum_of_these() -> None:
    rare, never = {"drain": Runs(1_000, 1), EMPTY: Runs(0, 0)}, {"drain": Runs(0, 0), EMPTY: Runs(0, 0)}
    found = costs("queue", "", 0, [(rare, 10, 1.0), (never, 10, 1.0)], NOTHING_ARMED)
    assert found.ns_a_run == {}
    assert found.rounds_ns_a_request == (100.0, 0.0)


def test_throughput_has_no_ratio_of_bare_to_itself_and_sums_of_what_was_lost_and_not_armed() -> None:
    bare, clone = [Load(100, 99, 1, 100.0)] * 2, [Load(50, 50, 0, 50.0), Load(60, 58, 2, 60.0)]
    armed = [Armed(50, 40, {"lane_busy": 10}), Armed(60, 59, {"lane_busy": 0, "reused_early": 1})]
    first, second = throughputs({BARE: bare, "clone": clone}, {"clone": armed})
    assert (first.to_bare, first.lost, first.armed) == (None, 2, None)
    assert second.to_bare == (0.5, None, None)
    assert (second.lost, second.per_second) == (2, 50.0)
    assert second.armed == Armed(110, 99, {"lane_busy": 10, "reused_early": 1})


def test_the_reasons_why_requests_are_not_armed_are_those_of_the_programs() -> None:
    reasons = reasons_not_armed()
    assert {"lane_busy", "reused_early", "clone_failed"} <= set(reasons)
    assert not {"requests", "armed", "cancelled", "duplicates_dropped"} & set(reasons)
    counters = dict.fromkeys(reasons, 0) | {"requests": 10, "armed": 7, "lane_busy": 3, "cancelled": 5}
    assert Armed.of(counters) == Armed(10, 7, {"lane_busy": 3})


def _late(hedges: float | None, wakeups: float | None) -> LatenessRound:
    mine, limit = (None if p99 is None else {"p50": p99 / 2, "p99": p99, "max": p99 * 2} for p99 in (hedges, wakeups))
    return LatenessRound(100, 0, 100, NOTHING_ARMED, mine, limit, "")


def test_lateness_is_compared_within_each_round() -> None:
    found = Lateness.of("clone", [_late(100, 50), _late(300, 300), _late(200, 50)])
    assert (found.hedges_p50_us, found.hedges_p99_us, found.wakeups_p99_us) == (100, 200, 50)
    assert found.p99_to_wakeups == 2.0


def test_lateness_without_a_limit_has_no_ratio() -> None:
    found = Lateness.of("clone", [_late(100, None), _late(100, None)])
    assert (found.hedges_p99_us, found.wakeups_p99_us, found.p99_to_wakeups) == (100, None, None)


def test_stalls_have_no_p99_where_a_round_has_none() -> None:
    good = StallRound.of(Arrivals(3, [1, 2, 3], 0, 0, [1, 1, 1]), 5, NOTHING_ARMED)
    lost = StallRound.of(Arrivals(3, [1, 2], 1, 2, [1, 1, 1]), 5, NOTHING_ARMED)
    assert Stalls.of("clone", [good, good]).p99_ms is not None
    found = Stalls.of("clone", [good, lost])
    assert (found.p99_ms, found.unanswered, found.twice, found.elsewhere) == (None, 1, 1, 2)


def test_a_query_is_what_a_server_reads() -> None:
    message = query(0x1234, "h1000.example.test")
    assert struct.unpack(">6H", message[:12]) == (0x1234, 0, 1, 0, 0, 0)
    assert message[12:] == b"\x05h1000\x07example\x04test\0\0\x01\0\x01"
    assert len({host(number) for number in range(9_000)}) == 9_000


@pytest.fixture
def odd_server() -> Iterator[tuple[str, int]]:
    """Answers id 1 twice, id 2 never, id 3 also from another port, and the others once."""
    server, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    server.bind(("127.0.0.1", 0))
    other.bind(("127.0.0.1", 0))

    def serve() -> None:
        while len(message := (answer := server.recvfrom(2_048))[0]) > 1:
            id_ = int.from_bytes(message[:2], "big")
            for _ in range({1: 2, 2: 0}.get(id_, 1)):
                server.sendto(message, answer[1])
            if id_ == 3:
                other.sendto(message, answer[1])

    thread = threading.Thread(target=serve)
    thread.start()
    yield server.getsockname()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
        last.sendto(b"", server.getsockname())
    thread.join()
    server.close()
    other.close()


def test_open_arrivals_count_what_is_lost_doubled_or_from_elsewhere(odd_server: tuple[str, int]) -> None:
    found = ask(*odd_server, rate=100, seconds=0.2)
    assert (found.sent, found.unanswered, found.twice, found.elsewhere) == (20, 1, 2, 1)
    assert all(ns > 0 for ns in found.latencies_ns)
    assert len(found.sent_late_ns) == 20
    assert min(found.sent_late_ns) >= 0


def test_more_queries_than_ids_are_refused() -> None:
    with pytest.raises(ValueError, match=str(MAX_QUERIES)):
        ask("127.0.0.1", 9, rate=MAX_QUERIES + 1, seconds=1)


def test_a_table_names_what_was_left_out() -> None:
    stalled = Stalls.of("clone", [StallRound.of(Arrivals(1, [NS_PER_MS], 0, 0, [NS_PER_MS // 2]), 1, None)])
    text = "\n".join(lines({"stalls": [stalled]}, {"engine queue": "not here"}))
    assert "clone  P50 1 P99 1  unanswered 0, twice 0, from elsewhere 0  sent late P99 0.5" in text
    assert "left out: engine queue: not here" in text
