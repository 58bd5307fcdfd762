"""Verdicts as JUnit XML, which every CI system shows: a suite for a run (or for each arm of it), a case for a claim.

A refuted claim is a failure. An inconclusive one is *skipped*, with the reason: the format has no third verdict, and
readers take "skipped" as "not tested here". A failure would say that the claim is wrong, a pass that it holds;
neither is certain. The exit code (3) says the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from orchestrator.report.formatting import STATED_AFTER, format_engines, format_observed
from orchestrator.runfolder.folder import RUN_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.errors import HedgerowError
    from orchestrator.runfolder.summary import ArmSummary, ClaimVerdict, Summary

#: What XML 1.0 has no way to write; YAML has (by escapes), so a scenario may hold it.
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SKIPPED, _FAILED, _BROKEN = "skipped", "failure", "error"
_COUNTED = {"failures": _FAILED, "errors": _BROKEN, "skipped": _SKIPPED}


@dataclass(frozen=True)
class Case:
    """One test case. `ending` is the element that says how it ended, None for a pass; `message` is a single line."""

    name: str
    text: str
    ending: str | None = None
    kind: str = ""
    message: str = ""


def as_junit(subject: str, summary: Summary | None, error: HedgerowError | None = None) -> str:
    """The document on a run: its claims where there is a summary, and the error with which it ended, if it did.

    `subject` is the name of the run where there is no summary.
    """
    suites = [] if summary is None else list(_suites(summary))
    if error is not None:
        suites.append(_suite(subject if summary is None else summary.run, subject, [_broken(error)], summary))
    root = ElementTree.Element("testsuites", _counts(suites), name="hedgerow")
    root.extend(suites)
    ElementTree.indent(root)
    document = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{document}\n'


def _suites(summary: Summary) -> Iterator[ElementTree.Element]:
    """One suite for the run; where it has arms one for each, and one for the claims across them if there are any."""
    run, scenario = summary.run, summary.scenario
    if summary.claims_across_arms:
        yield _suite(run, scenario, [_case(claim) for claim in summary.claims_across_arms], summary)
    for arm in summary.arms:
        cases = [_case(claim) for claim in arm.claims]
        if arm.name is None:
            yield _suite(run, scenario, cases, summary)
        else:
            yield _suite(f"{run}: {arm.name}", f"{scenario}.{arm.name}", cases, summary, arm)


def _suite(
    name: str, class_name: str, cases: Sequence[Case], summary: Summary | None, arm: ArmSummary | None = None
) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=_clean(name), tests=str(len(cases)))
    for attribute, ending in _COUNTED.items():
        suite.set(attribute, str(sum(case.ending == ending for case in cases)))
    match = RUN_NAME.fullmatch("" if summary is None else summary.run)
    if match:
        time = match["time"]
        suite.set("timestamp", f"{time[:4]}-{time[4:6]}-{time[6:11]}:{time[11:13]}:{time[13:15]}")
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in _properties(summary, arm).items():
        if value is not None:
            ElementTree.SubElement(properties, "property", name=key, value=_clean(value))
    suite.extend(_element(case, class_name) for case in cases)
    return suite


def _properties(summary: Summary | None, arm: ArmSummary | None) -> dict[str, str | None]:
    if summary is None:
        return {}
    return {
        "run": summary.run,
        "scenario": summary.scenario,
        "backend": summary.backend,
        "engine": summary.engine,
        "delay_line": summary.delay_line,
        "verdict": summary.verdict if arm is None else arm.verdict,
        "arm": None if arm is None else arm.name,
        "accepted_changes": "; ".join(summary.accepted_changes) or None,
        "engines": format_engines(summary) if "+" in f"{summary.engine}{summary.delay_line}" else None,
    }


def _case(claim: ClaimVerdict) -> Case:
    observed = format_observed(claim)
    name = f"{claim.id} ({STATED_AFTER})" if claim.stated_after_run else claim.id
    lines = [claim.text, f"expected {claim.expect}", f"observed {observed}", claim.reason]
    text = "\n".join(line for line in lines if line)
    if claim.verdict == "refuted":
        return Case(name, text, _FAILED, "refuted", f"observed {observed}, expected {claim.expect}")
    if claim.verdict == "inconclusive":
        why = claim.reason or "this run cannot tell"
        return Case(name, text, _SKIPPED, "inconclusive", f"inconclusive: {why}")
    return Case(name, text)


def _broken(error: HedgerowError) -> Case:
    text = error.message + (f"\nremedy: {error.remedy}" if error.remedy else "")
    kind = f"exit {int(error.exit_code)}"
    return Case("run", text, _BROKEN, kind, error.message.partition("\n")[0])


def _element(case: Case, class_name: str) -> ElementTree.Element:
    element = ElementTree.Element("testcase", classname=_clean(class_name), name=_clean(case.name))
    if case.ending is None:
        ElementTree.SubElement(element, "system-out").text = _clean(case.text)
        return element
    ending = ElementTree.SubElement(element, case.ending, message=_clean(case.message))
    if case.ending != _SKIPPED:
        ending.set("type", case.kind)
    ending.text = _clean(case.text)
    return element


def _counts(suites: Sequence[ElementTree.Element]) -> dict[str, str]:
    names = ("tests", *_COUNTED)
    return {name: str(sum(int(suite.get(name, "0")) for suite in suites)) for name in names}


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)
