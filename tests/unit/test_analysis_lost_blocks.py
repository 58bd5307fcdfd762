"""Runs whose requests reached no server, or were all lost, conclude nothing; steal and pressure are compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from hedgerow_node.records import NO_TIME
from orchestrator.analysis.disturbed_blocks import disturbed_blocks
from orchestrator.analysis.measures import Measures
from orchestrator.analysis.statistics import plain
from orchestrator.errors import ExitCode, RunError
from orchestrator.report.view import notes
from orchestrator.runfolder.manifest import BlockEntry
from support.run_folder_factory import data_of, experiment_from, finished_run, scenario_from, summarised

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.runfolder.folder import RunFolder


def set_all_to_time_outs(folder: RunFolder, strategy: str, block: int | None = None) -> None:
    """As if no answer to that strategy's requests had come, in one block or in all."""
    table = pq.read_table(folder.samples)
    chosen = pc.equal(table["strategy"], strategy)
    if block is not None:
        chosen = pc.and_(chosen, pc.equal(table["block"], block))
    for name, value in (
        ("outcome", "timeout"),
        ("received_ns", None),
        ("kernel_rx_ns", None),
        ("copies_received", 0),
    ):
        column = table[name]
        changed = pc.if_else(chosen, pa.scalar(value, column.type), column)
        table = table.set_column(table.column_names.index(name), table.schema.field(name), changed)
    pq.write_table(table, folder.samples)


def remove_server_rows(folder: RunFolder, strategy: str) -> None:
    table = pq.read_table(folder.server)
    pq.write_table(table.filter(pc.not_equal(table["strategy"], strategy)), folder.server)


def test_a_strategy_that_no_server_heard_of_concludes_nothing(tmp_path: Path) -> None:
    """The case of the review: its claim came out supported."""
    folder = finished_run(tmp_path, scenario_from("smoke"))
    set_all_to_time_outs(folder, "baseline")
    remove_server_rows(folder, "baseline")
    with pytest.raises(RunError, match=r"block 0 \(baseline\): no server received a request") as caught:
        summarised(folder)
    assert caught.value.exit_code == ExitCode.RUN_FAILED
    assert caught.value.remedy is not None
    assert "SHA256SUMS" in caught.value.remedy


def test_answers_without_a_copy_at_any_server_are_refused_too(tmp_path: Path) -> None:
    folder = finished_run(tmp_path, scenario_from("smoke"))
    remove_server_rows(folder, "kernel")
    with pytest.raises(RunError, match=r"block 0 \(kernel\): no server received a request"):
        summarised(folder)


def test_one_block_whose_answers_were_all_lost_is_enough(tmp_path: Path) -> None:
    folder = finished_run(tmp_path, scenario_from("smoke"))
    set_all_to_time_outs(folder, "kernel", block=3)
    with pytest.raises(RunError, match=r"block 3 \(kernel\): no request was answered"):
        summarised(folder)


LOST = """
version: 1
name: lost
workload: {{requests: 60, arrivals: {{mode: open, rate: 100/s}}}}
hedging: {{delay: 10ms}}
strategies: [baseline]
design: {{blocks: 2}}
faults: [{fault}]
"""


ARMED = """
version: 1
name: armed
workload: {requests: 60, arrivals: {mode: open, rate: 100/s}}
hedging: {delay: 10ms}
strategies: [baseline, kernel]
design: {blocks: 2}
arms: {near: {}, far: {hedging: {delay: 20ms}}}
"""


@pytest.mark.parametrize(
    ("fault", "explains"),
    [
        ("{fault: partition, target: servers}", True),
        ("{fault: kill, target: server-0, at: 1ms}", True),
        ("{fault: drop-requests, target: server-0}", True),
        ("{fault: drop-requests, target: server-0, when: id % 2 == 0}", False),
        ("{fault: loss, target: servers, percent: 99%}", True),
        ("{fault: loss, target: servers, percent: 5%}", False),
        ("{fault: duplicate, target: servers, percent: 100%}", False),
    ],
)
def test_a_fault_explains_it_if_it_could_have_done_that(fault: str, explains: bool, tmp_path: Path) -> None:
    folder = finished_run(tmp_path, experiment_from(tmp_path, LOST.format(fault=fault)))
    set_all_to_time_outs(folder, "baseline", block=1)
    if explains:
        assert summarised(folder).arms[0].strategies["baseline"].answered <= 60
    else:
        with pytest.raises(RunError, match=r"block 1 \(baseline\): no request was answered"):
            summarised(folder)


def test_the_arm_is_named(tmp_path: Path) -> None:
    folder = finished_run(tmp_path, experiment_from(tmp_path, ARMED))
    remove_server_rows(folder, "kernel")
    with pytest.raises(RunError, match=r"block 0 \(near, kernel\): no server received a request"):
        summarised(folder)


def test_measures_without_server_rows_have_no_extra_load(tmp_path: Path) -> None:
    data = data_of(finished_run(tmp_path, scenario_from("smoke")))
    samples = data.arms[0].samples["kernel"]
    measures = Measures(samples, None, None, data.round_numbers)
    assert measures.copies is None
    for name in ("extra_load", "stalled_hedged"):
        assert str(measures.evaluate(name, plain(data.rounds))[0]) == "nan"


def test_requests_without_the_kernels_timestamp_enter_no_buffered_figure(tmp_path: Path) -> None:
    data = data_of(finished_run(tmp_path, scenario_from("smoke")))
    samples = dict(data.arms[0].samples["kernel"])
    stamps = samples["kernel_rx_ns"].copy()
    stamps[samples["block"] == 0] = NO_TIME
    samples["kernel_rx_ns"] = stamps
    measures = Measures(samples, None, None, data.round_numbers)
    assert len(measures.buffered) == int((stamps != NO_TIME).sum()) < len(measures.latency)


def entry(order: int, steal_ms: int | None, pressure_us: int | None = 1000, arm: str | None = None) -> BlockEntry:
    return BlockEntry(
        order=order,
        arm=arm,
        strategy="kernel",
        block=order,
        serial=order,
        attempt=1,
        start_ns=1,
        client={},
        servers=(),
        steal_ms=steal_ms,
        cpu_pressure_us=pressure_us,
    )


@pytest.mark.parametrize(
    ("steal_ms", "expected"),
    [
        ([0, 12, 3, 310, 5], [(3, 310, (0, 12))]),
        ([0, 0, 0, 49], []),
        ([0, 0, 0, 51], [(3, 51, (0, 0))]),
        ([100, 110, 90, 400], []),
        ([100, 110, 90, 600], [(3, 600, (90, 110))]),
        ([0, 500, 400], []),  # too few to know what is usual
        ([None, None, None, None, 900], []),
        ([1, 700, 2, 500, 3, 4], [(1, 700, (1, 4)), (3, 500, (1, 4))]),
    ],
)
def test_blocks_far_off_the_others_are_found(steal_ms: list[int | None], expected: list[Any]) -> None:
    found = disturbed_blocks(entry(order, value) for order, value in enumerate(steal_ms))
    assert [(each.block, each.value_ms, each.others_ms) for each in found] == expected
    assert {each.measure for each in found} <= {"steal_ms"}


def test_blocks_are_compared_within_their_arm_by_steal_and_by_pressure() -> None:
    blocks = [entry(order, 0, 900_000 if order % 2 else 20_000, "ab"[order % 2]) for order in range(10)]
    assert disturbed_blocks(blocks) == ()
    blocks[4] = entry(4, 0, 480_000, "a")
    (found,) = disturbed_blocks(blocks)
    assert (found.arm, found.block, found.measure, found.value_ms) == ("a", 4, "cpu_pressure_ms", 480.0)


def test_disturbed_blocks_are_shown_below_the_tables(tmp_path: Path) -> None:
    folder = finished_run(tmp_path, scenario_from("smoke"))
    manifest = json.loads(folder.manifest.read_text())
    steal_ms = (0, 12, 3, 310, 5)
    manifest["blocks"] = [
        {"order": n, "arm": None, "strategy": "kernel", "block": n, "serial": n, "attempt": 1, "start_ns": 1,
         "client": {}, "servers": [], "steal_ms": stolen_ms}
        for n, stolen_ms in enumerate(steal_ms)
    ]  # fmt: skip
    folder.manifest.write_text(json.dumps(manifest))
    summary = summarised(folder)
    assert "kernel: block 3: 310 ms of CPU time stolen, others 0 to 12" in notes(summary)
    assert summary.to_json()["disturbed"] == [
        {"arm": None, "strategy": "kernel", "block": 3, "measure": "steal_ms", "value_ms": 310, "others_ms": [0, 12]}
    ]
