"""From a scenario file to an `Experiment`, or to everything that is wrong with it, each with its line and a remedy.

In three steps: `_read` the file, its smoke variant and `--set` into plain data; `_parse` that into the scenarios of
all arms, whose claims name known strategies and arms only; `_check` whether those can be run and judged. Each step
goes as far as it can, so that all problems are reported at once. A recorded run is not checked: it has been run.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.claims.check import check_names, check_names_across
from orchestrator.errors import Finding, KeyPath, ScenarioError
from orchestrator.scenario.arms import Variant, expand, settle_overrides, with_smoke
from orchestrator.scenario.availability import later_format
from orchestrator.scenario.checks import check_arms, check_scenario
from orchestrator.scenario.document import Document, Plain, override, read_document
from orchestrator.scenario.experiment import Arm, Experiment
from orchestrator.scenario.parse import parse_scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from orchestrator.scenario.models import Scenario


def load_experiment(
    path: Path,
    overrides: Sequence[str] = (),
    smoke: bool = False,
    further_check: Callable[[Scenario], Iterable[Finding]] | None = None,
) -> Experiment:
    """The experiment in the YAML file `path`: its `smoke` variant if asked for, `overrides` applied last of all.

    An override reads like "workload.requests=500". `further_check` is asked of each arm that is valid otherwise.
    Raises ScenarioError (exit code 2) with every finding in any of the arms, one line each:
    "FILE:LINE: key: message; remedy".
    """
    parsed = _parse(*_read(path, overrides, smoke))
    return _experiment(parsed, [*parsed.findings, *_check(parsed, further_check)])


def load_recorded(path: Path) -> Experiment:
    """The experiment in the file `path` of a run folder, whose claims may be ones that no new run could begin with.

    Raises ScenarioError as `load_experiment` does, but not for what keeps a run from being begun.
    """
    parsed = _parse(*_read(path))
    return _experiment(parsed, parsed.findings)


class _ParsedArm(NamedTuple):
    """An arm, or a whole file without arms (`name` is None); its claims include those across arms."""

    name: str | None
    set: dict[str, Plain]
    document: Document
    scenario: Scenario


@dataclass
class _Parsed:
    """What parsing made of a file: the base and those arms that are scenarios, and what is wrong, located.

    `written` counts the arms of the file, one where there are none; `keys` are those that describe them.
    """

    document: Document
    base: Scenario | None
    written: int
    keys: dict[str, Plain]
    findings: list[Finding]
    arms: list[_ParsedArm] = field(default_factory=list)

    @property
    def by_name(self) -> dict[str, Scenario]:
        """The arms' scenarios, none where the file has no arms."""
        return {arm.name: arm.scenario for arm in self.arms if arm.name is not None}

    @property
    def is_complete(self) -> bool:
        """Whether all arms are scenarios, so that they can be seen together."""
        return len(self.arms) == self.written


def _read(path: Path, overrides: Sequence[str] = (), smoke: bool = False) -> tuple[Document, list[Finding]]:
    """The data in `path` with everything applied, and what could not be."""
    document = read_document(path)
    later = later_format(document.data)
    if later is not None:
        raise ScenarioError([_located(document, later)])
    override(document, [assignment for assignment in overrides if _is_for_smoke(assignment)])
    findings: list[Finding] = []
    if smoke:
        document, findings = with_smoke(document)
    written = override(document, [assignment for assignment in overrides if not _is_for_smoke(assignment)])
    return document, [*findings, *settle_overrides(document, written)]


def _parse(document: Document, known: list[Finding]) -> _Parsed:
    """The scenarios in `document`, of which `known` is wrong already."""
    variants = expand(document)
    base, wrong = parse_scenario(variants.base)
    findings = [_located(document, finding) for finding in (*known, *variants.findings)]
    findings += [_located(variants.base, finding) for finding in wrong]
    written = [*variants.arms] or [Variant(None, {}, variants.base)]
    parsed = _Parsed(variants.base, base, len(written), variants.keys, findings)
    if base is None:
        return parsed
    of_arms: list[tuple[str | None, Finding]] = []
    for name, own, of_arm in written:
        scenario, wrong = parse_scenario(of_arm)
        if scenario is not None:
            wrong += check_names(scenario, None if name is None else base)
            parsed.arms.append(_ParsedArm(name, own, of_arm, scenario))
        of_arms += [(name, _located(of_arm, finding)) for finding in wrong]
    parsed.findings += _of_arms([each for each in of_arms if each[1] not in findings], parsed)
    if parsed.is_complete and parsed.keys:
        parsed.findings += [_located(variants.base, each) for each in check_names_across(base, parsed.by_name)]
    return parsed


def _check(parsed: _Parsed, further_check: Callable[[Scenario], Iterable[Finding]] | None = None) -> list[Finding]:
    """What keeps the experiment from being run or judged."""
    of_arms: list[tuple[str | None, Finding]] = []
    for arm in parsed.arms:
        found = list(check_scenario(arm.scenario))
        if not found and further_check is not None:
            found += further_check(arm.scenario)
        of_arms += [(arm.name, _located(arm.document, finding)) for finding in found]
    findings = _of_arms(of_arms, parsed)
    if parsed.base is not None and parsed.is_complete:
        together = check_arms(parsed.base, [arm.scenario for arm in parsed.arms], parsed.by_name)
        findings += [_located(parsed.document, finding) for finding in [*together, *_equal_points(parsed)]]
    return findings


def _equal_points(parsed: _Parsed) -> Iterator[Finding]:
    """Points of a sweep that are one scenario under two names, as 5ms and 5000us are, so that nothing was swept."""
    if "matrix" not in parsed.keys:
        return
    for index, arm in enumerate(parsed.arms):
        for earlier in parsed.arms[:index]:
            if arm.scenario == earlier.scenario:
                yield Finding(("matrix",), f"{earlier.name} and {arm.name} are the same", "write every value once")


def _experiment(parsed: _Parsed, findings: list[Finding]) -> Experiment:
    """All that was parsed; ScenarioError where anything was found."""
    base = parsed.base
    if findings or base is None:
        raise ScenarioError(sorted(dict.fromkeys(findings), key=_reading_order))
    if not parsed.keys:
        return Experiment.of(base)
    arms = [Arm(arm.name, arm.set, arm.scenario.without_claims_across()) for arm in parsed.arms]
    across = tuple(claim for claim in base.claims if claim.names_arms)
    return Experiment(base.name, base.description, tuple(arms), across, {**base.as_document(), **parsed.keys})


def _is_for_smoke(assignment: str) -> bool:
    return assignment.partition("=")[0].strip().split(".")[0] == "smoke"


def _of_arms(found: Iterable[tuple[str | None, Finding]], parsed: _Parsed) -> list[Finding]:
    """Each of the findings `found` in arms once, naming these arms unless its key does or all of them have it."""
    names: dict[Finding, list[str | None]] = {}
    for name, finding in found:
        names.setdefault(finding, []).append(name)
    return [
        finding
        if len(having) == parsed.written or finding.key.startswith(("arms.", "matrix."))
        else replace(finding, message=f"in arm {', '.join(map(str, having))}: {finding.message}")
        for finding, having in names.items()
    ]


def _located(document: Document, finding: Finding) -> Finding:
    """`finding`, with the place and the key that the file of `document` has for it."""
    path = finding.path
    about = _claim_id(document.data, path)
    return replace(finding, path=document.key(path), where=document.where(path), about=about)


def _claim_id(data: dict[str, Plain], path: KeyPath) -> str:
    """The id of the claim that `path` leads into, empty where it leads elsewhere, or is about that very id."""
    if len(path) < 2 or path[0] != "claims" or path[-1] == "id":
        return ""
    listed, index = data.get("claims"), path[1]
    claim = listed[index] if isinstance(listed, list) and isinstance(index, int) else None
    identity = claim.get("id") if isinstance(claim, dict) else None
    return identity if isinstance(identity, str) else ""


def _reading_order(finding: Finding) -> tuple[str, int]:
    file, _, line = finding.where.rpartition(":")
    return (file, int(line)) if line.isdecimal() else (finding.where, 0)
