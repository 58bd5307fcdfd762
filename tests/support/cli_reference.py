"""docs/cli.md, made from the commands' own help: `make docs` writes it, a test compares it.

What --help cannot say (exit codes in full, the two things called smoke) stands here once.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup
from typer.main import get_command

from orchestrator.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"

_HEAD = """# Commands

Made from `orchestrator COMMAND --help` by `make docs`; a test keeps it true. After `make setup` the command is
`.venv/bin/orchestrator`. Root is needed by `run` (with docker too: its sockets are in `/run/hedgerow`) and `bench`,
by `down` where there is something to clean up, and by `doctor` to try the eBPF programs; `images build` needs access
to the Docker engine. Every command with `--json` then prints one JSON document on stdout, errors included.

Two things are called smoke: `scenarios/smoke.yaml` is a small experiment with verdicts of its own; `--smoke` shortens
any scenario and only proves that it runs.
"""

_EXIT_CODES = """## Exit codes

| code | meaning |
|---|---|
| 0 | done; of a run: every claim supported, or none made |
| 1 | a claim refuted |
| 2 | wrong usage, or an invalid scenario |
| 3 | inconclusive: no claim refuted, not all supported |
| 4 | something is missing on this host; the message names the remedy |
| 5 | the run failed, or its folder is not as it was measured |
| 6 | something was left behind on the host |
| 130 | interrupted, after cleaning up |

Where several apply, the first of 130, 6, 5, 1, 3 counts.
"""


def reference() -> str:
    """The whole page."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    sections = [section for name, command in group.commands.items() for section in _sections(name, command)]
    return "\n".join([_HEAD, _EXIT_CODES, *sections])


def _sections(name: str, command: Any) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        for below, inner in command.commands.items():
            yield from _sections(f"{name} {below}", inner)
        return
    context = command.make_context(name, [], resilient_parsing=True)
    pieces = [name, *(piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]")]
    usage = re.sub(r"\{(\w+)(?:\.\.\.)?\}", r"\1", " ".join(pieces)).replace("[[", "[").replace("]]", "]")
    lines = [f"## {name}", "", f"`orchestrator {usage}`", ""]
    lines += [re.sub(r"\s+", " ", inspect.cleandoc(command.help or "")), ""]
    rows = [_row(parameter, context) for parameter in command.params if getattr(parameter, "help", None)]
    if rows:
        lines += ["| option | what |", "|---|---|", *rows, ""]
    yield "\n".join(lines)


def _row(parameter: Any, context: Any) -> str:
    """One argument or option: its spelling, and its help with the default where the help shows one."""
    spelling, text = parameter.get_help_record(context)
    spelling, text = (re.sub(r"\s+", " ", value).replace("|", r"\|") for value in (spelling, text))
    spelling = re.sub(r" <[^>]*>$", "", spelling)
    return f"| `{spelling}` | {text} |"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
