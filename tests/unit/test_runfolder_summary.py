"""A summary is read and written by one type: what any version wrote comes back to the byte."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.errors import RunError
from orchestrator.runfolder.codec import MismatchError
from orchestrator.runfolder.summary import Summary
from support.arms_scenarios import ARMS, SWEEP
from support.run_folder_factory import ROOT, ScenarioOverride, experiment_from, finished_run, scenario_from

if TYPE_CHECKING:
    from pathlib import Path

GOLDEN = sorted((ROOT / "tests" / "golden").glob("*/*/summary.json"))


def golden(scenario: str) -> Path:
    """The golden summary of a scenario that the first version left."""
    return next(path for path in GOLDEN if path.parent.name.startswith(f"{scenario}-"))


def content_of(scenario: str) -> dict[str, Any]:
    """Its content as JSON."""
    content: dict[str, Any] = json.loads(golden(scenario).read_text())
    return content


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_what_any_version_wrote_is_written_again_to_the_byte(path: Path) -> None:
    assert Summary.read(path).as_text() == path.read_text()


def test_what_this_version_writes_is_read_and_written_again_to_the_byte(tmp_path: Path) -> None:
    by_strategy = {"kernel": ScenarioOverride(duplicates=frozenset({3}), unanswered=frozenset(range(5, 500, 10)))}
    plain = finished_run(
        tmp_path, scenario_from("smoke", "claims.1.expect=p99(kernel) <= 1.5 * p99(baseline)"), by_strategy
    )
    for folder in (plain, *(finished_run(tmp_path, experiment_from(tmp_path, text)) for text in (ARMS, SWEEP))):
        assert Summary.read(folder.summary).as_text() == folder.summary.read_text()


def test_a_run_without_arms_is_one_arm_without_a_name() -> None:
    stored, summary = content_of("closed"), Summary.read(golden("closed"))
    (arm,) = summary.arms
    assert (arm.name, arm.set, arm.arrivals, arm.verdict) == (None, {}, stored["arrivals"], stored["verdict"])
    assert not summary.has_arms
    assert [claim.id for claim in arm.claims] == [claim["id"] for claim in stored["claims"]]
    assert summary.claims_across_arms == ()
    assert [arm_name for arm_name, _ in summary.claims()] == [None] * len(arm.claims)


def test_claims_across_arms_are_kept_apart_and_come_last() -> None:
    summary = Summary.read(golden("faults"))
    assert summary.has_arms
    names = [name for name, _ in summary.claims()]
    assert names[0] == "paused"
    assert names[-1] is None
    assert [claim for name, claim in summary.claims() if name is None] == list(summary.claims_across_arms)
    assert summary.arm("lossy").strategies["baseline"].censored
    with pytest.raises(KeyError):
        summary.arm("unknown")


def test_a_sweep_has_its_matrix() -> None:
    assert Summary.read(golden("sweep")).matrix == {"hedging.delay": ["5ms", "20ms"]}
    assert Summary.read(golden("closed")).matrix == {}


def test_figures_have_names_and_units() -> None:
    stored, summary = content_of("closed")["strategies"]["kernel"], Summary.read(golden("closed"))
    kernel = summary.arms[0].strategies["kernel"]
    assert kernel.latency_ms["p99"] == stored["latency_ms"]["p99"]
    assert kernel.ci95_ms["p50"] == tuple(stored["ci95_ms"]["p50"])
    assert kernel.unanswered == stored["requests"] - stored["answered"]
    assert kernel.published_ms == stored["published_ms"]


def test_a_comparison_names_its_sides() -> None:
    comparison = Summary.read(golden("closed")).arms[0].comparisons[0]
    stored = content_of("closed")["comparisons"][0]
    assert (comparison.strategy, comparison.reference) == (stored["strategy"], stored["with"])
    with pytest.raises(FrozenInstanceError):
        comparison.ratio = 1.0  # type: ignore[misc]


def test_keys_of_a_later_version_are_ignored() -> None:
    stored = content_of("closed")
    stored["strategies"]["kernel"]["later"] = 1
    assert Summary.from_json({**stored, "later": {}}) == Summary.from_json(content_of("closed"))


@pytest.mark.parametrize("name", ["faults", "discarded"])
def test_what_early_summaries_had_not_may_be_missing(name: str) -> None:
    stored = content_of("closed")
    del stored[name]
    assert getattr(Summary.from_json(stored), name) == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks": "five"}, "blocks is 'five', expected a whole number"),
        ({"blocks": True}, "blocks is True, expected a whole number"),
        ({"verdict": "perhaps"}, "verdict is 'perhaps', expected one of supported, refuted, inconclusive"),
        ({"strategies": []}, r"^strategies is \[\], expected an object"),
        ({"strategies": {"kernel": {}}}, "^strategies.kernel has no requests"),
        ({"discarded": {}}, "discarded is {}, expected an array"),
        ({"arms": []}, "arms is empty"),
    ],
)
def test_what_is_not_a_summary_is_refused_by_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(MismatchError, match=message):
        Summary.from_json({**content_of("closed"), **change})


def test_a_broken_file_is_named_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text(json.dumps({**content_of("closed"), "run": 1}))
    with pytest.raises(RunError, match=r"summary\.json cannot be read: run is 1, expected a text") as refusal:
        Summary.read(path)
    assert refusal.value.remedy == f"orchestrator analyze {tmp_path} makes it again"
