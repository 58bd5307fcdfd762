"""A run with both engines: each strategy's figures, the reports and a comparison say which one hedged it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from orchestrator.report.compare.differences import environment_differences
from orchestrator.report.formatting import format_engines
from orchestrator.report.junit import as_junit
from orchestrator.report.view import notes
from orchestrator.runfolder.manifest import Manifest
from support.comparisons import described
from support.run_folder_factory import finished_run, scenario_from, summarised

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.runfolder.summary import Summary

BOTH = "engine queue, delay line fq (kernel); engine clone, delay line htb (kernel-clone)"


def block(strategy: str, engine: str, delay_line: str, number: int = 0) -> dict[str, Any]:
    places = dict.fromkeys(("order", "serial", "attempt", "start_ns"), 0)
    used = {"engine": engine, "delay_line": delay_line}
    return {**places, **used, "arm": None, "strategy": strategy, "block": number, "client": {}, "servers": []}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    overrides = ("strategies=[baseline, kernel, kernel-clone]", "claims=[]", "published={}")
    blocks = [
        block("baseline", "queue", "fq"),
        block("kernel", "queue", "fq"),
        block("kernel-clone", "clone", "htb"),
        block("kernel", "queue", "fq", 1),
    ]
    made = finished_run(tmp_path_factory.mktemp("results"), scenario_from("smoke", *overrides))
    return described(made, engine="clone+queue", delay_line="fq+htb", blocks=blocks)


@pytest.fixture(scope="module")
def summary(folder: RunFolder) -> Summary:
    return summarised(folder)


def test_a_summary_has_them_for_the_strategies_that_the_kernel_hedges(summary: Summary) -> None:
    found = {name: (each.engine, each.delay_line) for name, each in summary.arms[0].strategies.items()}
    assert found == {"baseline": (None, None), "kernel": ("queue", "fq"), "kernel-clone": ("clone", "htb")}
    strategies: Any = summary.to_json()["strategies"]
    assert "engine" not in strategies["baseline"]


def test_every_report_names_the_engine_of_each_strategy(summary: Summary) -> None:
    assert format_engines(summary) == BOTH
    assert any(BOTH in line for line in notes(summary))
    suite = ElementTree.fromstring(as_junit("smoke", summary))  # noqa: S314 (our own document)
    found = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert (found["engine"], found["delay_line"], found["engines"]) == ("clone+queue", "fq+htb", BOTH)


def test_where_all_have_one_it_is_said_once(tmp_path: Path) -> None:
    one = described(finished_run(tmp_path, scenario_from("smoke")), blocks=[block("kernel", "clone", "htb")])
    assert format_engines(summarised(one)) == "engine clone, delay line htb"


def test_a_comparison_names_strategies_that_were_hedged_in_another_way(folder: RunFolder) -> None:
    first = Manifest.read(folder.manifest)
    content: dict[str, Any] = {"engine": "clone+queue", "delay_line": "fq+htb"}
    blocks = [
        block("kernel", "clone", "htb"),
        block("kernel-clone", "clone", "htb"),
        block("baseline", "queue", "fq"),
    ]
    described(folder, **content, blocks=blocks)
    other = Manifest.read(folder.manifest)
    (found,) = environment_differences(first, other)
    assert (found.key, found.values) == ("engines.kernel", (["queue", "fq"], ["clone", "htb"]))
    assert environment_differences(first, first) == []
