"""docs/cli.md is what the commands' own help says."""

from __future__ import annotations

from orchestrator.errors import ExitCode
from support.cli_reference import PAGE, reference


def test_the_page_of_commands_is_made_of_their_help() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "write it again: make docs"


def test_every_exit_code_is_explained() -> None:
    for code in ExitCode:
        assert f"| {int(code)} |" in PAGE.read_text(encoding="utf-8")
