"""The report's page, from made-up run folders: what it says, that it stands alone, that it reads well."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import RunError
from orchestrator.host.observe.provenance import provenance
from orchestrator.report.formatting import format_observed
from orchestrator.report.listing import write_index
from orchestrator.report.page import write_report
from orchestrator.report.plots import draw
from orchestrator.report.view import Row, Section, without_empty_columns
from orchestrator.runfolder.run import Run
from support import browser, summaries
from support.arms_scenarios import ARMS
from support.run_folder_factory import ScenarioOverride, data_of, experiment_from, finished_run, scenario_from

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.claims.functions import Unit
    from orchestrator.runfolder.folder import RunFolder

pytestmark = pytest.mark.xdist_group("report-page")  # they share what was drawn or made once a session

FAULT = {
    "event": "fault",
    "serial": 7,
    "order": 3,
    "arm": None,
    "strategy": "kernel",
    "block": 3,
    "key": "0.0",
    "fault": "slow",
    "target": "server-0",
    "start_ns": 1_000_000_000,
    "planned_ns": 1_500_000_000,
    "applied_ns": 1_500_083_000,
    "planned_until_ns": 1_900_000_000,
    "undone_ns": 1_900_091_000,
    "proven": True,
    "proof": {"hits": 12, "rows": None},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with a refuted claim, requests without an answer, a fault in its journal, and its page."""
    results = tmp_path_factory.mktemp("results")
    slow = "faults=[{fault: slow, target: server-0, factor: 2}]"
    scenario = scenario_from("paper", "workload.requests=1000", "claims.1.expect='p99(kernel) <= 5ms'", slow)
    folder = finished_run(results, scenario, {"baseline": ScenarioOverride(unanswered=frozenset(range(40)))})
    manifest = json.loads(folder.manifest.read_text())
    ran = {"started_at": "2026-11-23T23:00:00+00:00", "seeds": {"workload": 42, "design": 1}}
    command = {"command": ["orchestrator", "run", "scenarios/my paper.yaml"]}
    folder.manifest.write_text(json.dumps({**manifest, **asdict(provenance()), **ran, **command}))
    folder.journal.write_text(json.dumps(FAULT) + "\n")
    write_report(Run(folder), draw(data_of(folder)))
    return folder


@pytest.fixture(scope="module")
def page(run: RunFolder) -> str:
    return run.report.read_text()


def test_it_says_verdict_claims_figures_faults_and_how_to_repeat_it(page: str, run: RunFolder) -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    summary = json.loads(run.summary.read_text())
    assert '<span class="verdict refuted">refuted</span> 1 of ' in page
    for claim in summary["claims"]:
        assert f'<span class="verdict {claim["verdict"]}">' in page
        assert claim["id"] in text
    assert "&gt; timeout" in page
    assert "401.14" in text  # the published figure
    assert "slow server-0 at 0.500 s for 0.400 s 83 0.400 s proven hits 12, rows unknown" in text
    assert "1 of 1 are proven" in text
    assert "sudo .venv/bin/orchestrator run &#39;scenarios/my paper.yaml&#39;" in page
    assert "Closed arrivals" in text


def test_what_a_p_value_assumes_stands_beside_it(tmp_path: Path) -> None:
    claims = "claims=[{id: all, expect: 'answered(kernel) >= 95%'}, {id: some, expect: 'p99(kernel) <= 15ms'}]"
    folder = finished_run(tmp_path, scenario_from("smoke", claims))
    every, some = json.loads(folder.summary.read_text())["claims"]
    assert every["p_assumes"] == "requests are independent of each other"
    assert "p_assumes" not in some
    manifest = json.loads(folder.manifest.read_text())
    folder.manifest.write_text(json.dumps({**manifest, **asdict(provenance()), "started_at": "now"}))
    write_report(Run(folder))
    page = folder.report.read_text()
    assert page.count(", if requests are independent of each other</span>") == 1


def test_the_figures_begin_with_their_table(page: str) -> None:
    figures = page[page.index('<h2 id="figures">') :]
    assert figures.index("<table>") < figures.index("<figure")
    assert 'id="extra-load-p99"' in figures


@pytest.mark.parametrize(
    ("expect", "unit", "words"),
    [
        ("p99(kernel) <= 0.2 * p99(baseline)", "ratio", "0.1860 \N{MULTIPLICATION SIGN} baseline"),
        (
            "p99(kernel) ~ p99(app-seed) within 5%",
            "ratio",
            "0.1860 \N{MULTIPLICATION SIGN} app-seed",
        ),
        (
            "p99(kernel@a) <= p99(kernel@b)",
            "ratio",
            "0.1860 \N{MULTIPLICATION SIGN} p99(kernel@b)",
        ),
        ("p95(kernel) <= p99(kernel)", "ratio", "0.1860 \N{MULTIPLICATION SIGN} p99(kernel)"),
        ("p99(kernel) <= 1ms", "ms", "0.186 ms"),
    ],
)
def test_a_ratio_says_what_it_is_a_multiple_of(expect: str, unit: Unit, words: str) -> None:
    found = replace(summaries.claim("one", "supported"), expect=expect, unit=unit, observed=0.186)
    assert format_observed(found, of_what=True) == words


def test_columns_without_any_figure_are_left_out() -> None:
    rows = [Row(["a", "-", "1", ""]), Row(["b", "-", "-", "-"])]
    found = without_empty_columns(Section("title", ["strategy", "won", "sent", "new"], rows))
    assert (found.header, [row.cells for row in found.rows]) == (["strategy", "sent"], [["a", "1"], ["b", "-"]])


def test_what_can_be_scrolled_to_by_keyboard_says_what_it_is(page: str) -> None:
    """A name without a role is not read out."""
    tags = re.findall(r"<\w+[^>]*tabindex=[^>]*>", page)
    assert len([tag for tag in tags if tag.startswith("<pre")]) == 2
    assert [tag for tag in tags if 'role="region"' not in tag or "aria-label=" not in tag] == []


def test_a_run_of_one_block_with_arms_of_their_own_arrivals(tmp_path: Path) -> None:
    opened = "{mode: open, rate: 500/s, process: constant}"
    text = ARMS.split("arms:")[0].replace(opened, "{mode: closed}").replace("{replicas: 3}", "{replicas: 1}")
    text += f"arms: {{one: {{workload: {{arrivals: {opened}}}}}, two: {{}}}}\n"
    experiment = experiment_from(tmp_path, text, "design.blocks=1", "hedging.target=same")
    folder = finished_run(tmp_path / "results", experiment)
    manifest = json.loads(folder.manifest.read_text())
    folder.manifest.write_text(json.dumps({**manifest, **asdict(provenance()), "started_at": "now"}))
    write_report(Run(folder))
    page = folder.report.read_text()
    assert "1 block of each strategy · mixed arrivals" in page
    assert re.findall(r"from the (\w+) time|from the (time) of", page) == [("intended", ""), ("", "time")]


def test_it_stands_alone(page: str) -> None:
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#|data:image)', page)
    assert "url(http" not in page
    assert "@import" not in page


def test_texts_of_a_scenario_cannot_become_markup(tmp_path: Path) -> None:
    scenario = scenario_from(
        "paper", "workload.requests=500", "claims.0.text='<img src=x onerror=alert(1)>'", "description='<b>bold</b>'"
    )
    folder = finished_run(tmp_path, scenario)
    manifest = json.loads(folder.manifest.read_text())
    folder.manifest.write_text(json.dumps({**manifest, **asdict(provenance()), "started_at": "now"}))
    write_report(Run(folder))
    page = folder.report.read_text()
    assert "<img" not in page
    assert "<b>" not in page


def test_a_folder_without_a_summary_is_refused_with_a_remedy(tmp_path: Path) -> None:
    folder = finished_run(tmp_path, scenario_from("paper", "workload.requests=500"))
    folder.summary.unlink()
    with pytest.raises(RunError, match=r"summary\.json cannot be read") as refused:
        write_report(Run(folder))
    assert "orchestrator analyze" in refused.value.remedy


def test_it_reads_well_on_desk_and_phone_in_light_and_dark(page: str) -> None:
    browser.assert_reads_well(page, *browser.VIEWS)


def test_the_measurement_itself_finds_what_is_wrong() -> None:
    """Or the tests above could not fail."""
    bad = (
        '<!doctype html><html><body style="background:#fff"><h2 id="a">x</h2><p id="a" style="color:#aaa">pale</p>'
        '<div style="width:3000px">wide</div><a href="#nowhere">link</a><table><tr><td>x</td></tr></table>'
        '<div style="overflow-x:auto;width:50px"><div style="width:500px">scrolls</div></div><img>'
        "<details><summary>small</summary>x</details>"
        "<table style='width:999px'><caption>cut</caption></table></body></html>"
    )
    found, again = browser.measure(bad, browser.PHONE, browser.PHONE)
    assert again == found
    assert found["overflow"] > 2000
    assert found["low_contrast"] == ["pale: 2.32"]
    assert found["duplicate_ids"] == ["a"]
    assert found["broken_links"] == ["nowhere"]
    assert len(found["unnamed"]) == 2
    assert len(found["unreachable"]) == 1
    assert found["cut_captions"] == ["cut"]
    assert found["unhinted"] == found["unreachable"]
    assert found["small_targets"] == ["<summary>small</summary>"]
    assert found["headings"] == [2]


def test_the_index_lists_every_run_the_latest_first(run: RunFolder) -> None:
    results = run.path.parent
    unfinished = results / "paper-20200101T000000Z-0000ab"
    unfinished.mkdir()
    text = write_index(results).read_text()
    assert f'<a href="{run.name}/report.html">paper</a>' in text
    assert text.index(run.name) < text.index(unfinished.name)
    assert "unfinished" in text
    assert "1 refuted" in text
    browser.assert_reads_well(text, browser.DESKTOP, browser.PHONE)


def test_the_index_of_nothing_says_so(tmp_path: Path) -> None:
    assert "There are no runs here." in write_index(tmp_path).read_text()
