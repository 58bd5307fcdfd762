"""Bad scenarios in, exact messages out: each .yaml in scenario_errors/ is refused with the words of its .txt."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import ExitCode, ScenarioError
from orchestrator.scenario.load import load_experiment

CASES = Path(__file__).with_name("scenario_errors")


@pytest.mark.parametrize("case", sorted(path.stem for path in CASES.glob("*.yaml")))
def test_a_bad_scenario_is_refused_with_every_problem_named(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES)
    with pytest.raises(ScenarioError) as refusal:
        load_experiment(Path(f"{case}.yaml"))
    assert f"{refusal.value}\n" == (CASES / f"{case}.txt").read_text()
    assert refusal.value.exit_code is ExitCode.USAGE


def test_no_expected_message_lacks_its_scenario() -> None:
    assert {path.stem for path in CASES.glob("*.txt")} == {path.stem for path in CASES.glob("*.yaml")}


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"nowhere\.yaml: cannot be read: No such file or directory"):
        load_experiment(tmp_path / "nowhere.yaml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"name: \xff\n")
    with pytest.raises(ScenarioError, match=r"is not UTF-8 text \(byte 6\)"):
        load_experiment(tmp_path / "binary.yaml")


def test_aliases_that_multiply_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    levels = [f"k{level}: &k{level} [{', '.join([f'*k{level - 1}'] * 10)}]" for level in range(1, 9)]
    (tmp_path / "bomb.yaml").write_text("\n".join(["k0: &k0 [x]", *levels]) + "\n")
    with pytest.raises(ScenarioError, match="holds more than 20000 values"):
        load_experiment(tmp_path / "bomb.yaml")


def test_yaml_nested_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.yaml").write_text("a: " + "[" * 5000 + "]" * 5000)
    with pytest.raises(ScenarioError, match="nested too deeply"):
        load_experiment(tmp_path / "deep.yaml")


def test_a_control_character_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bell.yaml").write_text("name: a\x07b\n")
    with pytest.raises(ScenarioError, match="is not valid YAML"):
        load_experiment(tmp_path / "bell.yaml")
