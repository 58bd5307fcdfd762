"""The log that outlives its writer: rows of any number, of any succession of processes, complete or not counted."""

from __future__ import annotations

import os
import signal
import struct

from hedgerow_node.processes import fork_worker
from hedgerow_node.records import LAYOUTS, NO_TIME, ServedCopy
from hedgerow_server.log import ServerLog, SharedRows

PAIR = struct.Struct("<qB")


def test_rows_come_back_in_order_however_many() -> None:
    rows = SharedRows("test", PAIR)
    count = 600_000  # more than the first capacity, and than twice that
    for number in range(count):
        rows.append(number, number % 256)
    assert rows.rows() == [(number, number % 256) for number in range(count)]
    assert rows.data()[: 2 * PAIR.size] == PAIR.pack(0, 0) + PAIR.pack(1, 1)
    rows.clear()
    assert rows.rows() == []


def test_each_process_goes_on_where_the_last_was_killed() -> None:
    rows, count = SharedRows("test", PAIR), 250_000
    for generation in range(3):

        def write(_: object, generation: int = generation) -> None:
            rows.take_over()
            for number in range(count):
                rows.append(number, generation)
            os.kill(os.getpid(), signal.SIGKILL)

        worker = fork_worker(write)
        assert worker.reap() == "signal 9 (SIGKILL)"
        worker.channel.close()
    expected = [(number, generation) for generation in range(3) for number in range(count)]
    assert rows.rows() == expected


def test_a_row_of_the_log_is_a_row_of_the_file() -> None:
    log = ServerLog()
    row = ServedCopy(1 << 40, 2, 3, 4, 5, 6, NO_TIME, 1)
    places = [log.copies.append(*row) for _ in range(3)]
    log.answered(places[1], 77)
    [first, second, third] = [ServedCopy(*fields) for fields in LAYOUTS[ServedCopy].iter_unpack(log.copies.data())]
    assert (first, second, third) == (row, row._replace(sent_ns=77), row)


def test_counts_and_the_first_failure_are_seen_by_the_supervisor_and_cleared_with_the_block() -> None:
    log = ServerLog()

    def work(_: object) -> None:
        log.count_malformed()
        log.count_send_error()
        log.count_send_error()
        log.hits[7] += 5
        log.fail("first")
        log.fail("second")

    worker = fork_worker(work)
    assert worker.reap() is None
    worker.channel.close()
    assert (log.malformed, log.send_errors, log.hits[7], log.failure) == (1, 2, 5, "first")
    log.clear()
    assert (log.malformed, log.send_errors, log.hits[7], log.failure) == (0, 0, 0, None)
