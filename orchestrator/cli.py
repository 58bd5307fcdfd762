"""The `orchestrator` command: registers the commands, and turns errors into messages, remedies and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer
from typer.exceptions import TyperException

from orchestrator.commands import analyze, bench, compare, doctor, down, images, plan, report, runs, schema, validate
from orchestrator.commands import run as run_command
from orchestrator.commands.options import print_json
from orchestrator.errors import ExitCode, HedgerowError, UsageError, disk_is_full, from_exception
from orchestrator.report.formatting import printable

app = typer.Typer(
    help="Measure hedged requests: in the kernel, in user space, and not at all.",
    epilog="Exit codes: 0 no claim refuted; 1 one refuted; 2 usage or invalid scenario; 3 inconclusive; 4 something "
    "is missing here; 5 the run failed; 6 something was left behind; 130 interrupted. Root is needed by run and "
    "bench, and by down where there is something to clean up.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hedgerow {version('hedgerow')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """What stands before the command."""


app.command()(doctor.doctor)
app.command()(validate.validate)
app.command()(plan.plan)
app.command()(run_command.run)
app.command()(schema.schema)
app.command()(runs.ls)
app.command()(runs.show)
app.command()(analyze.analyze)
app.command()(report.report)
app.command()(compare.compare)
app.command()(down.down)
app.add_typer(images.app, name="images")
app.command()(bench.bench)


def main() -> None:
    """Run the command line and exit with the code that design and documentation promise."""
    _mend_streams()
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:
        # reported already; Python would try once more at its end, and exit with a code of its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _mend_streams() -> None:
    """Give the process the streams that its caller closed (`>&-`), so that what it prints is lost and nothing else;
    what a stream's encoding has no letter for is replaced.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            # as a rule this gets the number of the closed one, which no other file must have
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, descriptor == number)
            setattr(sys, name, os.fdopen(descriptor, "w" if number else "r", encoding="utf-8", errors="replace"))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def run(arguments: list[str]) -> int:
    """Run the command that `arguments` give and return its exit code; errors are printed, not raised."""
    as_json = "--json" in arguments
    try:
        # Typer prints what is wrong with a command line and exits, unless it is not in standalone mode
        ended = app(args=arguments, prog_name="orchestrator", standalone_mode=not as_json)
    except HedgerowError as error:
        _print_error(error, as_json)
        return int(error.exit_code)
    except TyperException as error:
        _print_error(UsageError(error.format_message(), "see orchestrator --help"), as_json)
        return int(ExitCode.USAGE)
    except SystemExit as ending:
        # where the reader of stdout is gone, Typer and rich end with 1, which is another thing's code here
        if isinstance(ending.__context__, BrokenPipeError):
            return int(ExitCode.RUN_FAILED)
        # Typer ends every command this way, with 2 where the command line is wrong and 130 on Ctrl-C
        return ending.code if isinstance(ending.code, int) else int(ExitCode.DONE)
    except Exception as raised:
        if not disk_is_full(raised):
            traceback.print_exc()
        failure = from_exception(raised)
        _print_error(failure, as_json)
        return int(failure.exit_code)
    return ended if isinstance(ended, int) else int(ExitCode.DONE)


def _print_error(error: HedgerowError, as_json: bool) -> None:
    if as_json:
        try:
            print_json(error.as_json())
            return
        except OSError as failure:
            typer.echo(f"stdout cannot be written: {failure.strerror}", err=True)
    for line in error.message.split("\n"):
        typer.echo(printable(line), err=True)
    if error.remedy:
        typer.echo(f"remedy: {printable(error.remedy)}", err=True)
