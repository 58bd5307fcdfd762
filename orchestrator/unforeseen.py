"""What becomes of exceptions that nobody foresaw: an error like the others, beside the traceback that says where."""

from __future__ import annotations

from orchestrator.errors import HedgerowError, RunError


def as_error(raised: Exception) -> HedgerowError:
    """The exception itself where it was foreseen, else a RunError that tells of it."""
    if isinstance(raised, HedgerowError):
        return raised
    if isinstance(raised, OSError) and raised.strerror:
        place = "" if raised.filename is None else f"{raised.filename}: "
        return RunError(f"{place}{raised.strerror}", "see that there is room, and that this may be read and written")
    return RunError(f"{type(raised).__name__}: {raised}", "this was not foreseen: please report it")
