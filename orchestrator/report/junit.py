"""Verdicts as JUnit XML, which every CI system shows: a suite for a run (or for each arm of it), a case for a claim.

A refuted claim is a failure. An inconclusive one is *skipped*, with the reason: the format has no third verdict, and
of what it knows, skipped is read as "this was not tested here", which is what happened. A failure would say that the
claim is wrong, a pass that it holds, and neither was shown. The exit code (3) tells it too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from orchestrator.report import figures
from orchestrator.runfolder.folder import RUN_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.errors import HedgerowError

_PROPERTIES = ("run", "scenario", "backend", "engine", "delay_line", "verdict")
#: What XML 1.0 has no way to write; YAML has (by escapes), so a scenario may hold it.
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OPEN, _FAILED, _BROKEN = "skipped", "failure", "error"
_COUNTED = {"failures": _FAILED, "errors": _BROKEN, "skipped": _OPEN}


@dataclass(frozen=True)
class Case:
    """One test case: how it ended (None: it passed), the one line that says why, and all there is to say."""

    name: str
    text: str
    ending: str | None = None
    kind: str = ""
    message: str = ""


def as_junit(subject: str, summary: dict[str, Any] | None, error: HedgerowError | None = None) -> str:
    """The document on a run: its claims where there is a summary, and the error with which it ended, if it did.

    `subject` is what the run is called where there is no summary.
    """
    suites = [] if summary is None else list(_suites(summary))
    if error is not None:
        suites.append(
            _suite(subject if summary is None else summary["run"], subject, [_broken(error)], summary or {})
        )
    root = ElementTree.Element("testsuites", _counts(suites), name="hedgerow")
    root.extend(suites)
    ElementTree.indent(root)
    document = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{document}\n'


def _suites(summary: dict[str, Any]) -> Iterator[ElementTree.Element]:
    """One suite for the run; where it has arms one for each, and one for the claims across them if there are any."""
    run, scenario = summary["run"], summary["scenario"]
    if "arms" not in summary or summary["claims"]:
        yield _suite(run, scenario, [_case(claim) for claim in summary["claims"]], summary)
    for arm in summary.get("arms", []):
        about = {**summary, "arm": arm["name"], "verdict": arm.get("verdict")}
        yield _suite(
            f"{run}: {arm['name']}", f"{scenario}.{arm['name']}", [_case(claim) for claim in arm["claims"]], about
        )


def _suite(name: str, class_name: str, cases: Sequence[Case], about: dict[str, Any]) -> ElementTree.Element:
    elements = [_element(case, class_name) for case in cases]
    suite = ElementTree.Element("testsuite", name=_clean(name), tests=str(len(cases)))
    for attribute, ending in _COUNTED.items():
        suite.set(attribute, str(sum(case.ending == ending for case in cases)))
    match = RUN_NAME.fullmatch(about.get("run", ""))
    if match:
        time = match["time"]
        suite.set("timestamp", f"{time[:4]}-{time[4:6]}-{time[6:11]}:{time[11:13]}:{time[13:15]}")
    properties = ElementTree.SubElement(suite, "properties")
    for key in (*_PROPERTIES, "arm"):
        if about.get(key) is not None:
            ElementTree.SubElement(properties, "property", name=key, value=_clean(str(about[key])))
    suite.extend(elements)
    return suite


def _case(claim: dict[str, Any]) -> Case:
    observed = figures.observed(claim)
    told = [f"expected {claim['expect']}", f"observed {observed}"]
    reason = claim.get("reason", "")
    text = "\n".join([*([claim["text"]] if claim.get("text") else []), *told, *([reason] if reason else [])])
    if claim["verdict"] == "refuted":
        return Case(claim["id"], text, _FAILED, "refuted", f"observed {observed}, expected {claim['expect']}")
    if claim["verdict"] == "inconclusive":
        return Case(claim["id"], text, _OPEN, "inconclusive", f"inconclusive: {reason or 'this run cannot tell'}")
    return Case(claim["id"], text)


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
    if case.ending != _OPEN:
        ending.set("type", case.kind)
    ending.text = _clean(case.text)
    return element


def _counts(suites: Sequence[ElementTree.Element]) -> dict[str, str]:
    names = ("tests", *_COUNTED)
    return {name: str(sum(int(suite.get(name, "0")) for suite in suites)) for name in names}


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)
