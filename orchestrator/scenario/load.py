"""From a scenario file to a checked `Experiment`, or to every finding it has, each with its line and a remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import yaml

from orchestrator.claims.check import claims_across_arms, claims_of_arm
from orchestrator.errors import Finding, KeyPath, ScenarioError
from orchestrator.scenario.arms import Variants, expand, settle_overrides, with_smoke
from orchestrator.scenario.availability import later_format
from orchestrator.scenario.checks import check, warmup_findings
from orchestrator.scenario.document import Document, override, read_document
from orchestrator.scenario.experiment import Arm, Experiment
from orchestrator.scenario.parse import parse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchestrator.scenario.models import Scenario


def load_experiment(
    path: Path, overrides: Sequence[str] = (), smoke: bool = False, *, recorded: bool = False
) -> Experiment:
    """The experiment in the YAML file `path`: its `smoke` variant if asked for, `overrides` applied last of all.

    An override reads like "workload.requests=500". `recorded`: the file is a run folder's, and its claims may be ones
    that no new run could begin with. Raises ScenarioError (exit code 2) with every finding in any
    of the arms, one line each: "FILE:LINE: key: message; remedy".
    """
    document = read_document(path)
    later = later_format(document.data)
    if later is not None:
        raise ScenarioError([_located(document, later)])
    override(document, [assignment for assignment in overrides if _is_for_smoke(assignment)])
    found: list[Finding] = []
    if smoke:
        document, found = with_smoke(document)
    written = override(document, [assignment for assignment in overrides if not _is_for_smoke(assignment)])
    found += settle_overrides(document, written)
    variants = expand(document)
    found += variants.findings
    findings = [_located(document, finding) for finding in found]
    base, findings_of_base = parse(variants.base)
    findings += [_located(variants.base, finding) for finding in findings_of_base]
    arms: list[Arm] = []
    if base is not None:
        arms, findings_of_arms = _arms(base, variants, findings, recorded)
        findings += findings_of_arms
    if findings or base is None:
        raise ScenarioError(sorted(dict.fromkeys(findings), key=_reading_order))
    across = tuple(claim for claim in base.claims if claim.names_arms) if variants.keys else ()
    resolved = {**base.as_document(), **variants.keys}
    return Experiment(base.name, base.description, tuple(arms), across, resolved)


def load_scenario(path: Path, overrides: Sequence[str] = ()) -> Scenario:
    """The scenario in a file without arms; ScenarioError as from `load_experiment`, and where there are arms."""
    experiment = load_experiment(path, overrides)
    if experiment.has_arms:
        names = ", ".join(str(arm.name) for arm in experiment.arms)
        raise ScenarioError(
            [Finding((), f"has several arms: {names}", "use a scenario without arms here", str(path))]
        )
    return experiment.scenario


def dump_scenario(scenario: Scenario) -> str:
    """`scenario` as YAML with every default written out; it loads to an equal model."""
    return yaml.safe_dump(scenario.as_document(), sort_keys=False, allow_unicode=True, width=118)


def _is_for_smoke(assignment: str) -> bool:
    return assignment.partition("=")[0].strip().split(".")[0] == "smoke"


def _arms(
    base: Scenario, variants: Variants, known: list[Finding], recorded: bool
) -> tuple[list[Arm], list[Finding]]:
    """The arms, or the single unnamed one, and the findings that are not `known` from the base."""
    documents: list[tuple[str | None, dict[str, Any], Document]] = [*variants.arms] or [(None, {}, variants.base)]
    arms: list[Arm] = []
    seen: dict[Finding, list[str | None]] = {}
    for name, own, document in documents:
        scenario, found = parse(document)
        if scenario is not None:
            found += check(scenario, recorded=recorded)
            found += claims_of_arm(scenario, base if name is not None else None)
            arms.append(Arm(name, own, scenario.without_claims_across() if name is not None else scenario))
        for finding in found:
            seen.setdefault(_located(document, finding), []).append(name)
    findings = [_in_arms(finding, names, len(documents)) for finding, names in seen.items() if finding not in known]
    if len(arms) == len(documents):
        across = list(warmup_findings(arm.scenario for arm in arms))
        if variants.keys:
            by_name = {str(arm.name): arm.scenario for arm in arms}
            across += claims_across_arms(base, by_name, recorded=recorded)
        findings += [_located(variants.base, finding) for finding in across]
    return arms, findings


def _in_arms(finding: Finding, names: list[str | None], arms: int) -> Finding:
    """`finding`, saying in which of the `arms` it is where neither its key tells nor all of them have it."""
    if len(names) == arms or finding.key.startswith(("arms.", "matrix.")):
        return finding
    where = f"in arm {', '.join(map(str, names))}: "
    return replace(finding, message=where + finding.message)


def _located(document: Document, finding: Finding) -> Finding:
    path = finding.path
    about = _claim_id(document.data, path)
    return replace(finding, path=document.key(path), where=document.where(path), about=about)


def _claim_id(data: dict[Any, Any], path: KeyPath) -> str:
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
