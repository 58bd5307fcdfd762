"""summary.json: the contract's keys, figures that can be checked by hand, and the same bytes every time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from orchestrator.analysis.measures import Measures
from orchestrator.claims.functions import LATENCY, LATENESS, functions_of
from orchestrator.errors import RunError
from orchestrator.runfolder.folder import RunFolder
from support.run_folder_factory import ScenarioOverride, data_of, finished_run, scenario_from, summarised


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished smoke run with one duplicate delivered and one time-out of the kernel's."""
    by_strategy = {"kernel": ScenarioOverride(duplicates=frozenset({3}), unanswered=frozenset({499}))}
    return finished_run(tmp_path_factory.mktemp("results"), scenario_from("smoke"), by_strategy)


@pytest.fixture(scope="module")
def summary(run: RunFolder) -> dict[str, Any]:
    """What the run's summary.json says."""
    content: dict[str, Any] = json.loads(run.summary.read_text())
    return content


def test_a_summary_names_scenario_run_and_backend(run: RunFolder, summary: dict[str, Any]) -> None:
    assert {key: summary[key] for key in ("schema", "scenario", "run", "backend", "engine", "delay_line")} == {
        "schema": 3,
        "scenario": "smoke",
        "run": run.path.name,
        "backend": "netns",
        "engine": "clone",
        "delay_line": "htb",
    }


def test_counts_are_those_of_the_tables(summary: dict[str, Any]) -> None:
    kernel = summary["strategies"]["kernel"]
    counts = {key: value for key, value in kernel.items() if isinstance(value, int)}
    assert counts == {
        "requests": 500,
        "answered": 499,
        "timeouts": 1,
        "errors": 0,
        "duplicates_delivered": 1,
        "hedges": 10,
        "hedges_won": 0,
        "hedges_won_unknown": 10,
        "copies_sent": 510,
        "stalled": 10,
        "stalled_hedged": 10,
    }
    assert (kernel["hedge_rate"], kernel["extra_copies_sent"], kernel["extra_load"]) == (0.02, 0.02, 0.02)


def test_copies_that_were_lost_were_sent_all_the_same(run: RunFolder) -> None:
    (arm,) = data_of(run).arms
    server = {name: values[:-100] for name, values in arm.server["kernel"].items()}
    measures = Measures(arm.samples["kernel"], arm.hedges["kernel"], server, np.arange(5))
    assert int(measures.copies_sent.sum()) == 510
    assert measures.extra_copies.sum() < 0


def test_a_late_client_makes_hedges_late_from_the_intended_time(run: RunFolder) -> None:
    """The request leaves late, and the hedge as late after it as before: only the intended time shows that."""
    (arm,) = data_of(run).arms
    samples, hedges = arm.samples["kernel"], arm.hedges["kernel"]
    late_by_ns = 5_000_000
    due_earlier = {**samples, "intended_ns": samples["intended_ns"] - late_by_ns}
    measures = Measures(due_earlier, hedges, None, np.arange(5))
    assert len(measures.lateness.merged) == 10
    assert (measures.lateness_from_intended.merged == measures.lateness.merged + late_by_ns).all()


def test_a_hedge_without_a_sample_has_no_lateness_from_the_intended_time(run: RunFolder) -> None:
    (arm,) = data_of(run).arms
    samples, hedges = arm.samples["kernel"], arm.hedges["kernel"]
    gone = int(hedges["request_id"].max())
    kept = {name: values[samples["request_id"] != gone] for name, values in samples.items()}
    measures = Measures(kept, hedges, None, np.arange(5))
    assert (len(measures.lateness.merged), len(measures.lateness_from_intended.merged)) == (10, 9)


def test_quantiles_are_order_statistics_of_the_samples(run: RunFolder, summary: dict[str, Any]) -> None:
    table = pq.read_table(run.samples, filters=[("strategy", "=", "baseline")])
    latencies = sorted(
        received - intended
        for received, intended in zip(table["received_ns"].to_pylist(), table["intended_ns"].to_pylist(), strict=True)
    )
    ours = summary["strategies"]["baseline"]["latency_ms"]
    ranks = {"p50": 250, "p90": 450, "p95": 475, "p99": 495, "p999": 500, "max": 500}
    assert {name: ours[name] for name in ranks} == {name: latencies[rank - 1] / 1e6 for name, rank in ranks.items()}
    assert ours["mean"] == pytest.approx(sum(latencies) / 500 / 1e6)


def test_figures_that_do_not_exist_are_null(summary: dict[str, Any]) -> None:
    baseline = summary["strategies"]["baseline"]
    assert baseline["lateness_us"] == dict.fromkeys(function.label for function in functions_of(LATENESS))
    assert baseline["lateness_ci95_us"] == dict.fromkeys(
        function.label for function in functions_of(LATENESS) if function.quantile is not None
    )
    assert baseline["ci95_ms"]["p999"] is None, "500 requests carry no interval of P99.9"


def test_censored_latencies_are_null_and_listed(summary: dict[str, Any]) -> None:
    kernel = summary["strategies"]["kernel"]
    assert kernel["censored"] == ["p999", "max", "mean"]
    assert [kernel["latency_ms"][name] for name in kernel["censored"]] == [None, None, None]
    assert kernel["latency_ms"]["p99"] is not None
    assert "censored" not in summary["strategies"]["baseline"]


def test_intervals_hold_their_figures(summary: dict[str, Any]) -> None:
    for strategy in summary["strategies"].values():
        for name in ("p50", "p95"):
            low, high = strategy["ci95_ms"][name]
            assert low <= strategy["latency_ms"][name] <= high


def test_the_exact_interval_by_ranks_stands_beside_that_by_blocks(summary: dict[str, Any]) -> None:
    baseline = summary["strategies"]["baseline"]
    quantiles = {function.label for function in functions_of(LATENCY) if function.quantile is not None}
    assert set(baseline["order_ci95_ms"]) == quantiles >= {"p50", "p90", "p95", "p99", "p999"}
    low, high = baseline["order_ci95_ms"]["p99"]
    assert low <= baseline["latency_ms"]["p99"] <= high
    assert baseline["order_ci95_ms"]["p999"] is None


def test_the_mean_of_hedged_requests(run: RunFolder, summary: dict[str, Any]) -> None:
    hedged = pq.read_table(run.hedges, filters=[("strategy", "=", "app-seed")])["request_id"].to_pylist()
    rows = pq.read_table(run.samples, filters=[("strategy", "=", "app-seed")]).to_pylist()
    took_ns = [row["received_ns"] - row["intended_ns"] for row in rows if row["request_id"] in set(hedged)]
    assert len(took_ns) == 10
    assert summary["strategies"]["app-seed"]["hedged_mean_ms"] == pytest.approx(sum(took_ns) / 10 / 1e6, abs=1e-6)
    assert summary["strategies"]["kernel"]["hedged_mean_ms"] is not None
    assert summary["strategies"]["baseline"]["hedged_mean_ms"] is None


def test_win_rate_and_wasted_copies(summary: dict[str, Any]) -> None:
    kernel = summary["strategies"]["kernel"]
    assert kernel["win_rate"] is None, "both copies went to one server that does not tell them apart"
    assert kernel["wasted"] == (500 + 10 - 499) / 500
    assert (summary["strategies"]["baseline"]["win_rate"], summary["strategies"]["baseline"]["wasted"]) == (None, 0.0)


def test_the_control_and_the_comparisons_stand_beside_the_figures(summary: dict[str, Any]) -> None:
    assert summary["control"]["null"] is True
    assert summary["control"]["requests"] == [250, 250]
    of_kernel = [row for row in summary["comparisons"] if (row["strategy"], row["with"]) == ("kernel", "baseline")]
    assert [row["figure"] for row in of_kernel] == ["p50", "p99"]


def test_claims_have_p_values(summary: dict[str, Any]) -> None:
    claims = {claim["id"]: claim for claim in summary["claims"]}
    tested = [claim for claim in claims.values() if claim["p_value"] is not None]
    assert all(claim["p_value"] <= claim["p_adjusted"] <= 1 for claim in tested)
    assert (claims["no-duplicates"]["p_value"], claims["no-duplicates"]["p_adjusted"]) == (None, None)
    assert claims["p99-cut"]["verdict"] == "supported"  # by a p-value smaller than five blocks show by themselves
    assert claims["p99-cut"]["p_adjusted"] == claims["p99-cut"]["p_floor"] == 0.0625
    assert claims["p99-cut"]["p_method"] == "Student's t on 5 blocks"
    assert all(claim["requests_needed"] is None for claim in claims.values() if claim["verdict"] != "inconclusive")


def test_claims_carry_verdict_observation_and_expectation(summary: dict[str, Any]) -> None:
    claims = {claim["id"]: claim for claim in summary["claims"]}
    assert claims["no-duplicates"]["verdict"] == "refuted"
    assert claims["no-duplicates"]["observed"] == 1
    assert claims["p99-cut"]["expect"] == "p99(kernel) <= 0.04 * p99(baseline)"
    assert claims["p99-cut"]["unit"] == "ratio"
    assert len(claims["p99-cut"]["ci95"]) == 2
    assert summary["verdict"] == "refuted"


def test_published_figures_stand_beside_ours(summary: dict[str, Any]) -> None:
    assert summary["strategies"]["kernel"]["published_ms"] == {"p50": 2.66, "p95": 3.04, "p99": 12.83, "max": 13.35}
    assert "published_ms" not in summary["strategies"]["app-deadline"]


def test_warm_up_requests_enter_no_figure(run: RunFolder) -> None:
    server = pq.read_table(run.server, filters=[("strategy", "=", "baseline")])
    assert server.num_rows == 600, "500 measured requests and 5 · 20 warm-ups"
    assert summarised(run).arms[0].strategies["baseline"].extra_load == 0.0


def test_the_folder_alone_gives_the_same_bytes_again(run: RunFolder, tmp_path: Path) -> None:
    before = run.summary.read_bytes()
    elsewhere = RunFolder(Path(shutil.copytree(run.path, tmp_path / run.path.name)))
    summarised(elsewhere).write(elsewhere)
    assert elsewhere.summary.read_bytes() == before


def test_few_blocks_give_figures_without_intervals(tmp_path: Path) -> None:
    folder = finished_run(tmp_path, scenario_from("smoke", "design.blocks=2"))
    baseline = summarised(folder).arms[0].strategies["baseline"]
    assert baseline.latency_ms["p99"] is not None
    assert set(baseline.ci95_ms.values()) == {None}


def test_a_scenario_without_claims_has_no_verdict(tmp_path: Path) -> None:
    folder = finished_run(tmp_path, scenario_from("smoke", "claims=[]"))
    assert summarised(folder).verdict is None


def test_a_folder_without_manifest_is_refused(run: RunFolder, tmp_path: Path) -> None:
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / run.path.name)))
    copy.manifest.unlink()
    with pytest.raises(RunError, match=r"manifest\.json cannot be read"):
        summarised(copy)


def test_no_interval_depends_on_the_seed(tmp_path: Path) -> None:
    """Each resample is as likely whatever the order of the blocks was drawn from."""
    seeds = (f"design.seed={seed}" for seed in (1, 2))
    first, other = (data_of(finished_run(tmp_path, scenario_from("smoke", seed))).resamples for seed in seeds)
    assert first is not None
    assert first is other
