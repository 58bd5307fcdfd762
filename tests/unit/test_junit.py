"""JUnit XML of runs, parsed back: what CI systems make of claims, arms and failures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from orchestrator.errors import LeftoversError, PrerequisiteError
from orchestrator.report.formatting import format_observed
from orchestrator.report.junit import as_junit
from orchestrator.runfolder.summary import Summary
from support.run_folder_factory import ScenarioOverride, finished_run, scenario_from, summarised
from support.summaries import with_claims

if TYPE_CHECKING:
    from orchestrator.runfolder.folder import RunFolder


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """A smoke run with a claim of each verdict: a duplicate refutes one, too many time-outs leave another open."""
    by_strategy = {"kernel": ScenarioOverride(duplicates=frozenset({3}), unanswered=frozenset(range(5, 500, 10)))}
    scenario = scenario_from("smoke", "claims.1.expect=p99(kernel) <= 1.5 * p99(baseline)")
    return summarised(finished_run(tmp_path_factory.mktemp("results"), scenario, by_strategy))


def parsed(text: str) -> ElementTree.Element:
    """The document, whose counts are those of what is in it."""
    root = ElementTree.fromstring(text)  # noqa: S314 - our own
    assert root.tag == "testsuites"
    for holder in (root, *root):
        cases = list(holder.iter("testcase"))
        assert int(holder.get("tests", "")) == len(cases)
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(holder.get(attribute, "")) == len(list(holder.iter(tag))), attribute
    return root


def case(root: ElementTree.Element, name: str) -> ElementTree.Element:
    """The test case called `name`."""
    (found,) = [element for element in root.iter("testcase") if element.get("name") == name]
    return found


def text_of(element: ElementTree.Element | None) -> str:
    assert element is not None
    return element.text or ""


def test_a_run_is_a_suite_and_a_claim_a_case(summary: Summary) -> None:
    (suite,) = parsed(as_junit("smoke", summary))
    assert suite.get("name") == summary.run
    assert [element.get("name") for element in suite.iter("testcase")] == [
        claim.id for claim in summary.arms[0].claims
    ]
    assert {element.get("classname") for element in suite.iter("testcase")} == {"smoke"}
    assert str(suite.get("timestamp")).startswith("20")


def test_properties_say_on_what_it_was_measured(summary: Summary) -> None:
    found = {
        element.get("name"): element.get("value") for element in parsed(as_junit("smoke", summary)).iter("property")
    }
    assert found == {
        "run": summary.run,
        "scenario": "smoke",
        "backend": "netns",
        "engine": "clone",
        "delay_line": "htb",
        "verdict": "refuted",
    }


def test_refuted_fails_inconclusive_is_skipped_supported_passes(summary: Summary) -> None:
    root = parsed(as_junit("smoke", summary))
    for claim in summary.arms[0].claims:
        element = case(root, claim.id)
        endings = [child.tag for child in element]
        tag = {"refuted": "failure", "inconclusive": "skipped", "supported": "system-out"}[claim.verdict]
        assert endings == [tag]
        text = text_of(element.find(tag))
        assert f"expected {claim.expect}" in text
        assert f"observed {format_observed(claim)}" in text
    assert {claim.verdict for claim in summary.arms[0].claims} == {"refuted", "inconclusive", "supported"}


def test_what_was_skipped_says_why(summary: Summary) -> None:
    skipped = case(parsed(as_junit("smoke", summary)), "p99-kernel").find("skipped")
    assert skipped is not None
    assert str(skipped.get("message")).startswith("inconclusive: p99(kernel) falls among requests without an answer")


def test_every_arm_is_a_suite_and_so_are_the_claims_across_them(arms_run: RunFolder) -> None:
    summary = Summary.read(arms_run.summary)
    across, paused, one = parsed(as_junit("pauses", summary))
    assert [suite.get("name") for suite in (across, paused, one)] == [
        summary.run,
        f"{summary.run}: client-paused",
        f"{summary.run}: one-server-paused",
    ]
    names = [[element.get("name") for element in suite.iter("testcase")] for suite in (across, paused, one)]
    assert names == [["app-late"], ["punctual"], ["rescued"]]
    assert case(one, "rescued").get("classname") == "pauses.one-server-paused"
    assert [element.get("value") for element in one.iter("property")][-1] == "one-server-paused"


def test_a_run_that_failed_is_an_error() -> None:
    error = PrerequisiteError("the netns backend needs root", "sudo orchestrator run smoke.yaml")
    (suite,) = parsed(as_junit("smoke", None, error))
    broken = case(suite, "run").find("error")
    assert broken is not None
    assert (broken.get("type"), broken.get("message")) == ("exit 4", "the netns backend needs root")
    assert "remedy: sudo orchestrator run smoke.yaml" in text_of(broken)


def test_leftovers_are_an_error_beside_the_claims(summary: Summary) -> None:
    root = parsed(as_junit("smoke", summary, LeftoversError("left behind: hr-1", "orchestrator down")))
    assert len(root) == 2
    assert len(list(root.iter("testcase"))) == len(summary.arms[0].claims) + 1


def test_a_run_without_claims_is_a_suite_without_cases(summary: Summary) -> None:
    (suite,) = parsed(as_junit("smoke", replace(with_claims(summary), verdict=None)))
    assert suite.get("tests") == "0"


def test_words_of_a_scenario_stay_words(summary: Summary) -> None:
    """Also those that XML cannot write at all."""
    claim = replace(summary.arms[0].claims[0], text="<b>&\x07]]>", id='quo"te\x00')
    root = parsed(as_junit("smoke", with_claims(summary, claim)))
    assert "<b>&\ufffd]]>" in text_of(next(iter(case(root, 'quo"te\ufffd'))))
