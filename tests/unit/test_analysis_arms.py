"""Runs with arms: figures and verdicts by arm, claims across them paired by round, faults and what was discarded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from hedgerow_node.units import NS_PER_MS
from orchestrator.analysis.judge.evidence import Evidence
from orchestrator.analysis.judge.verdicts import judge
from orchestrator.analysis.noise import halves
from orchestrator.claims.grammar import parse_claim
from orchestrator.errors import RunError
from orchestrator.runfolder.tables import read_hedges, read_samples, read_server
from support.arms_scenarios import ARMS, SWEEP
from support.run_folder_factory import (
    data_of,
    experiment_from,
    finished_run,
    make_tables,
    raw_run,
    scenario_from,
    summarised,
)

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.analysis.run_data import RunData
    from orchestrator.runfolder.folder import RunFolder


def made(folder: Path, text: str, *overrides: str) -> RunFolder:
    """A finished run of the scenario `text`."""
    folder.mkdir(exist_ok=True)
    return finished_run(folder / "results", experiment_from(folder, text, *overrides))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run of two arms."""
    return made(tmp_path_factory.mktemp("arms"), ARMS)


@pytest.fixture(scope="module")
def summary(run: RunFolder) -> dict[str, Any]:
    """What its summary.json says."""
    content: dict[str, Any] = json.loads(run.summary.read_text())
    return content


def test_tables_name_the_arm_of_every_row(run: RunFolder) -> None:
    for path in (run.samples, run.hedges, run.server):
        assert set(pq.read_table(path)["arm"].to_pylist()) == {"client-paused", "one-server-paused"}
    for read in (read_samples, read_server):
        rows = read(run)
        assert {name: set(strategies) for name, strategies in rows.items()} == {
            "client-paused": {"app-deadline", "kernel"},
            "one-server-paused": {"baseline", "app-deadline", "kernel"},
        }
    assert set(read_hedges(run)["one-server-paused"]) == {"app-deadline", "kernel"}


def test_copies_of_all_replicas_are_in_the_table(run: RunFolder) -> None:
    baseline = read_server(run)["one-server-paused"]["baseline"]
    assert np.bincount(baseline["replica"]).tolist() == [334, 333, 333]


def test_a_replica_that_left_no_record_is_named(tmp_path: Path) -> None:
    experiment = experiment_from(tmp_path, ARMS)
    folder = raw_run(tmp_path / "results", experiment)
    next(folder.raw.glob("*copies-2")).unlink()
    with pytest.raises(RunError, match=r"copies-2 is missing"):
        make_tables(folder, experiment)


def test_figures_and_claims_stand_in_their_arms(summary: dict[str, Any]) -> None:
    assert "strategies" not in summary
    assert "matrix" not in summary
    client, server = summary["arms"]
    assert (client["name"], list(client["strategies"])) == ("client-paused", ["app-deadline", "kernel"])
    assert client["set"]["service.service_time"] == "30ms"
    assert [claim["id"] for claim in client["claims"]] == ["punctual"], "an arm's own claims replace the scenario's"
    assert server["strategies"]["kernel"]["requests"] == 1000
    assert server["strategies"]["kernel"]["latency_ms"]["p99"] < 25
    assert server["strategies"]["baseline"]["timeouts"] > 0
    assert [claim["id"] for claim in summary["claims"]] == ["app-late"]


def test_each_arm_has_its_own_timeout(tmp_path: Path) -> None:
    text = ARMS.replace("  one-server-paused:\n", "  one-server-paused:\n    workload: {timeout: 140ms}\n")
    claim = 'expect: "p99(baseline@one-server-paused) > 20 * p99(kernel@one-server-paused)"'
    text = text.replace("  - id: app-late", f"  - {{id: censored, {claim}}}\n  - id: app-late")
    found = {claim.id: claim for claim in summarised(made(tmp_path, text)).claims_across_arms}
    assert found["censored"].verdict == "inconclusive"
    assert "(> 140ms)" in found["censored"].reason


def test_a_claim_across_arms_compares_arms(summary: dict[str, Any]) -> None:
    (claim,) = summary["claims"]
    assert (claim["verdict"], claim["unit"]) == ("supported", "ratio")
    client, server = (arm["strategies"]["app-deadline"]["lateness_us"]["max"] for arm in summary["arms"])
    assert claim["observed"] == pytest.approx(client / server, rel=1e-4)


def test_an_arm_compared_with_itself_shows_no_difference_at_all(run: RunFolder) -> None:
    """The same resamples serve both sides, so the interval of the difference is a point."""
    data = data_of(run)
    finding = judge(parse_claim("mean(kernel@client-paused) - mean(kernel@client-paused) <= 0ms"), across(data))
    assert (finding.verdict, finding.ci95) == ("inconclusive", (0.0, 0.0))
    assert finding.reason == "the same figure stands on both sides, so that nothing is claimed of it"


def across(data: RunData) -> Evidence:
    """What claims across the arms of `data` are judged on."""
    return Evidence.across(
        {arm.name: Evidence(arm.measures, data.resamples, arm.scenario.workload.timeout_ns) for arm in data.arms}
    )


def test_rounds_are_paired_across_arms(tmp_path: Path) -> None:
    """Rounds in which both arms were slow alike: each mean varies widely, their difference hardly."""
    folder = made(tmp_path, ARMS)
    table = pq.read_table(folder.samples)
    slower = pc.multiply(pc.cast(table["block"], "int64"), 20 * NS_PER_MS)
    column = table.column_names.index("received_ns")
    pq.write_table(table.set_column(column, "received_ns", pc.add(table["received_ns"], slower)), folder.samples)
    evidence = across(data_of(folder))
    widths = []
    for claim in (
        "mean(kernel@one-server-paused) > 1ms",
        "mean(kernel@one-server-paused) - mean(app-deadline@client-paused) > 1ms",
    ):
        ends = judge(parse_claim(claim), evidence).ci95
        assert ends is not None
        low, high = ends
        assert low is not None
        assert high is not None
        widths.append(high - low)
    assert widths[1] < widths[0] / 10


def test_an_arm_without_a_baseline_leaves_the_controls_of_the_others(run: RunFolder) -> None:
    data = data_of(run)
    arms = {
        arm.name: Evidence(
            arm.measures, data.resamples, arm.scenario.workload.timeout_ns, halves(arm, data.round_numbers, seed=1)
        )
        for arm in data.arms
    }
    evidence = Evidence.across(arms)
    assert arms["client-paused"].halves is None
    claim = parse_claim("mean(kernel@client-paused) <= mean(baseline@one-server-paused)")
    for half in (0, 1):
        exchanged = evidence.against_half(half)
        pair = arms["one-server-paused"].halves
        assert exchanged is not None
        assert pair is not None
        assert [exchanged.measured(call) for call in claim.calls()] == [
            arms["client-paused"].measures["kernel"],
            pair[half],
        ]
    assert arms["client-paused"].against_half(0) is None


def test_the_verdict_is_the_worst_of_all_arms_and_of_what_is_claimed_across(tmp_path: Path) -> None:
    assert summarised(made(tmp_path / "a", ARMS)).verdict == "supported"
    worse = summarised(made(tmp_path / "b", ARMS.replace("p99(kernel) <= 25ms", "p99(kernel) <= 5ms")))
    assert (worse.verdict, [arm.verdict for arm in worse.arms]) == ("refuted", ["supported", "refuted"])


def test_open_arrivals_have_send_lateness_and_time_in_the_buffer(
    summary: dict[str, Any],
) -> None:
    client, server = (arm["strategies"]["kernel"] for arm in summary["arms"])
    assert client["send_lateness_us"]["max"] > 90_000, "a paused client sends when it wakes"
    assert client["buffered_ms"]["p99"] > 1
    assert server["send_lateness_us"]["p99"] < 1000
    assert server["buffered_ms"] == {"p50": pytest.approx(0.015), "p99": pytest.approx(0.015)}


def test_closed_arrivals_have_no_schedule_to_be_late_against(tmp_path: Path) -> None:
    summary = summarised(finished_run(tmp_path, scenario_from("smoke")))
    kernel = summary.arms[0].strategies["kernel"]
    assert summary.arrivals == "closed"
    assert kernel.send_lateness_us is None
    assert kernel.buffered_ms == {"p50": 0.02, "p99": 0.02}
    assert (summary.faults, summary.discarded) == ((), ())


def test_every_fault_is_listed_with_its_proofs_and_the_requests_affected(summary: dict[str, Any]) -> None:
    entries = [(fault["arm"], fault["fault"], fault["target"]) for fault in summary["faults"]]
    assert entries == [
        ("client-paused", "pause", "client"),
        ("one-server-paused", "pause", "server-0"),
        *(("one-server-paused", "loss", f"server-{replica}") for replica in range(3)),
    ]
    client, server, loss, *_ = summary["faults"]
    assert (client["occurrences"], client["proven"], client["requests"]) == (
        10,
        10,
        {"app-deadline": 250, "kernel": 250},
    )
    assert (server["occurrences"], set(server["requests"].values())) == (15, {500})
    assert set(loss["requests"].values()) == {1000}


def test_a_fault_that_never_happened_is_listed_with_no_occurrence(tmp_path: Path) -> None:
    folder = made(tmp_path, ARMS)
    folder.journal.unlink()
    faults = summarised(folder).faults
    assert len(faults) == 5
    assert {(fault.occurrences, fault.proven) for fault in faults} == {(0, 0)}


def test_discarded_blocks_are_listed(tmp_path: Path) -> None:
    folder = made(tmp_path, ARMS)
    record = {
        "event": "block-discarded",
        "serial": 999,
        "order": 0,
        "attempt": 1,
        "arm": "client-paused",
        "strategy": "kernel",
        "block": 3,
    }
    with folder.journal.open("a") as journal:
        journal.write(json.dumps({**record, "reasons": ["the client was never seen stopped"]}) + "\n")
    assert summarised(folder).to_json()["discarded"] == [
        {
            "arm": "client-paused",
            "strategy": "kernel",
            "block": 3,
            "reasons": ["the client was never seen stopped"],
        }
    ]


def test_a_sweep_lists_its_keys_and_each_arm_its_value(tmp_path: Path) -> None:
    summary = summarised(made(tmp_path, SWEEP))
    assert summary.matrix == {"hedging.delay": ["5ms", "20ms", "100ms"]}
    assert [arm.set for arm in summary.arms] == [{"hedging.delay": value} for value in ("5ms", "20ms", "100ms")]
    assert [claim.verdict for claim in summary.claims_across_arms] == ["supported"]


def test_a_strategy_without_rows_has_no_figures_and_supports_no_claim(tmp_path: Path) -> None:
    text = ARMS.replace("p99(kernel) <= 25ms", "duplicates(kernel) == 0")
    folder = made(tmp_path, text)
    table = pq.read_table(folder.samples)
    lost = pc.and_(pc.equal(table["arm"], "one-server-paused"), pc.equal(table["strategy"], "kernel"))
    pq.write_table(table.filter(pc.invert(lost)), folder.samples)
    summary = summarised(folder)
    kernel = summary.arms[1].strategies["kernel"]
    assert (kernel.requests, kernel.latency_ms["p99"], kernel.hedge_rate) == (0, None, None)
    rescued = next(claim for claim in summary.arms[1].claims if claim.id == "rescued")
    assert (rescued.verdict, rescued.reason) == (
        "inconclusive",
        "duplicates(kernel) has no value in this run",
    )
    assert json.loads(summary.as_text())


def test_a_folder_without_samples_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path, ARMS)
    pq.write_table(pq.read_table(folder.samples).slice(0, 0), folder.samples)
    with pytest.raises(RunError, match="holds no samples"):
        summarised(folder)


def test_tables_without_a_column_for_the_arm_are_read(tmp_path: Path) -> None:
    folder = finished_run(tmp_path, scenario_from("smoke"))
    before = summarised(folder)
    for path in (folder.samples, folder.server):
        pq.write_table(pq.read_table(path).drop_columns(["arm"]), path)
    assert summarised(folder) == before
