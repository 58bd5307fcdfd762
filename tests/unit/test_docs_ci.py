"""The workflows in docs/ci do what they are there for, with commands and options that exist."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from typing import Any

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from hedgerow_node.units import NS_PER_S, parse_duration_ns
from orchestrator.cli import app
from support.run_folder_factory import ROOT

FOLDER = ROOT / "docs" / "ci"
SCENARIO = "scenarios/smoke.yaml"
ORCHESTRATOR = ".venv/bin/orchestrator"


def workflow(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    return content


def github_job() -> dict[str, Any]:
    job: dict[str, Any] = workflow("github.yml")["jobs"]["measure"]
    return job


def gitlab_job() -> dict[str, Any]:
    job: dict[str, Any] = workflow("gitlab.yml")["measure"]
    return job


def github_lines() -> list[str]:
    return [step["run"] for step in github_job()["steps"] if "run" in step]


def gitlab_lines() -> list[str]:
    job = gitlab_job()
    return [*job["before_script"], *job["script"], *job["after_script"]]


def arguments(lines: list[str]) -> list[list[str]]:
    """What the orchestrator is called with, in order."""
    found = []
    for line in lines:
        words = shlex.split(line.replace("$SCENARIO", SCENARIO))
        if ORCHESTRATOR in words:
            found.append(words[words.index(ORCHESTRATOR) + 1 :])
    return found


LINES = {"github": github_lines(), "gitlab": gitlab_lines()}


@pytest.mark.parametrize("lines", LINES.values(), ids=LINES)
def test_the_host_is_cleaned_and_checked_before_and_cleaned_after(lines: list[str]) -> None:
    assert lines[0] == "make setup"
    assert [words[0] for words in arguments(lines)] == ["down", "doctor", "run", "down"]
    assert all(line.startswith("sudo ") for line in lines if ORCHESTRATOR in line)


@pytest.mark.parametrize("lines", LINES.values(), ids=LINES)
def test_every_command_is_one_that_the_orchestrator_understands(lines: list[str]) -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    for name, *rest in arguments(lines):
        context = group.commands[name].make_context(name, list(rest))
        assert context.params.keys() >= {"as_json"}
        assert not any(str(value).startswith("$") for value in context.params.values())


@pytest.mark.parametrize("lines", LINES.values(), ids=LINES)
def test_the_run_is_alone_ends_in_time_and_leaves_its_verdicts(lines: list[str]) -> None:
    (words,) = [words for words in arguments(lines) if words[0] == "run"]
    assert (ROOT / SCENARIO).exists()
    assert "--exclusive" in words
    given = dict(pairwise(words))
    assert (given["--backend"], given["--results"], given["--junit"]) == ("netns", "results", "results/hedgerow.xml")
    assert parse_duration_ns(given["--max-duration"]) == 20 * 60 * NS_PER_S


def test_github_keeps_the_results_and_cleans_up_however_the_run_ended() -> None:
    job = github_job()
    assert {"self-hosted", "hedgerow"} <= set(job["runs-on"])
    assert job["timeout-minutes"] > 20
    assert job["env"]["SCENARIO"] == "${{ inputs.scenario || '" + SCENARIO + "' }}"
    (upload,) = [step for step in job["steps"] if step.get("uses", "").startswith("actions/upload-artifact@")]
    assert (upload["if"], upload["with"]["path"]) == ("always()", "results/")
    assert job["steps"][-1]["if"] == "always()"
    (measure,) = [line for line in github_lines() if " run " in line]
    assert "--preserve-env=GITHUB_STEP_SUMMARY" in measure
    assert workflow("github.yml")["permissions"] == {"contents": "read"}


def test_github_runs_it_by_hand_or_by_the_clock_but_not_for_pull_requests() -> None:
    # YAML 1.1 reads the key `on` as true.
    (triggers,) = [value for key, value in dict[Any, Any](workflow("github.yml")).items() if key in ("on", True)]
    assert set(triggers) == {"schedule", "workflow_dispatch"}
    assert triggers["workflow_dispatch"]["inputs"]["scenario"]["default"] == SCENARIO
    assert re.fullmatch(r"(\S+ ){4}\S+", triggers["schedule"][0]["cron"])


def test_gitlab_keeps_the_results_and_takes_inconclusive_for_a_warning() -> None:
    job = gitlab_job()
    assert job["tags"] == ["hedgerow"]
    assert job["variables"]["SCENARIO"] == SCENARIO
    assert job["artifacts"]["when"] == "always"
    assert job["artifacts"]["paths"] == ["results/"]
    assert job["artifacts"]["reports"]["junit"] == "results/hedgerow.xml"
    assert job["allow_failure"] == {"exit_codes": [3]}
    assert int(job["timeout"].split()[0]) > 20
