"""What a command writes for CI systems: JUnit XML, and GitHub's step summary.

Where one of these files cannot be written the command goes on: hours of measuring are not lost to a full disk or a
wrong path.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

import typer

from orchestrator.errors import HedgerowError, from_exception
from orchestrator.report.junit import as_junit
from orchestrator.report.markdown import as_markdown, error_as_markdown
from orchestrator.runfolder.folder import make_folder
from orchestrator.runfolder.safe_files import chown_like
from orchestrator.runfolder.summary import Summary

_STEP_SUMMARY = "GITHUB_STEP_SUMMARY"  #: the variable in which GitHub names the file to append to


class CiOutputs(AbstractContextManager["CiOutputs"]):
    """The context of a command that ends in a verdict or an error; on leaving, the files asked for are written.

    The command sets `summary` once there is one, `subject` to the name of the run, and `last_line` to what shall be
    the last line on stderr, below any warnings.
    """

    def __init__(self, junit: Path | None, subject: str, step_summary: bool = False) -> None:
        """`step_summary`: whether this command appends to GITHUB_STEP_SUMMARY where that is set."""
        self._junit = junit
        self._page = os.environ.get(_STEP_SUMMARY) if step_summary else None
        self.subject = subject
        self.summary: Summary | None = None
        self.last_line = ""

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        error = raised if isinstance(raised, HedgerowError) else None
        if error is None and self.summary is None and isinstance(raised, Exception):
            error = from_exception(raised)
        if self.summary is not None or error is not None:
            self._write(error)
        if self.last_line:
            typer.echo(self.last_line, err=True)

    def _write(self, error: HedgerowError | None) -> None:
        if self._junit is not None:
            try:
                make_folder(self._junit.parent)
                self._junit.write_text(as_junit(self.subject, self.summary, error), encoding="utf-8")
                chown_like(self._junit, self._junit.parent)
            except OSError as failure:
                _warn("--junit", self._junit, failure)
        if self._page:
            text = "" if self.summary is None else as_markdown(self.summary)
            text += "" if error is None else error_as_markdown(self.subject, error)
            try:
                with Path(self._page).open("a", encoding="utf-8") as file:
                    file.write(text)
            except OSError as failure:
                _warn(_STEP_SUMMARY, Path(self._page), failure)


def _warn(asked_by: str, path: Path, failure: OSError) -> None:
    words = failure.strerror or str(failure)
    typer.echo(
        f"warning: {path} ({asked_by}) cannot be written: {words}; the run and its results are whole", err=True
    )
