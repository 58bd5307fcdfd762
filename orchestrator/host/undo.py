"""Takes back what a journal says was changed. Each undo may be repeated, and finds nothing to do the second time."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import suppress

from orchestrator.errors import LeftoversError
from orchestrator.host import cgroups
from orchestrator.host.audit import namespace_name, namespaces_of, processes_of
from orchestrator.host.engine import NoEngineError, release_things, remove_things_of, things_of
from orchestrator.host.namespaces import delete, exists
from orchestrator.runfolder.journal import (
    DeleteNamespace,
    EndProcesses,
    ReleaseContainers,
    ReleaseCpuController,
    RemoveCgroups,
    RemoveProject,
    Undo,
    UnknownUndo,
)

_END_TIMEOUT_S = 3.0
_REMOVE_TIMEOUT_S = 10.0  #: containers on a busy host take their time
_POLL_S = 0.01
_OUR_NAMESPACE = re.compile(r"hr-[0-9a-f]{6}-[a-z0-9]+")  #: see `audit.namespace_name`
_MEDDLED = "check what else writes to the run's folder"


def carry_out(undo: Undo | UnknownUndo) -> None:
    """Does one undo; LeftoversError where this version does not know it or it does not succeed."""
    match undo:
        case EndProcesses(run):
            _end_processes(run)
        case DeleteNamespace(name):
            _delete_namespace(name)
        case RemoveProject(run):
            _remove_project(run)
        case RemoveCgroups(run):
            _remove_cgroups(run)
        case ReleaseCpuController():
            cgroups.release_controller()
        case ReleaseContainers(containers):
            release_things(containers)
        case UnknownUndo(content):
            remedy = "use the version that made the run"
            raise LeftoversError(f"the journal asks for an unknown undo: {content}", remedy)


def _end_processes(run_id: str) -> None:
    """SIGTERM first, since programs then take away what they attached; SIGKILL for those that ignore it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes_of(run_id):
            send_signal(pid, number)
        deadline_s = time.monotonic() + _END_TIMEOUT_S
        while processes_of(run_id):
            if time.monotonic() > deadline_s:
                break
            time.sleep(_POLL_S)
        else:
            return
    raise LeftoversError(f"processes {processes_of(run_id)} do not end", "see what holds them: cat /proc/PID/stack")


def send_signal(pid: int, number: signal.Signals) -> None:
    """Sends it, and resumes the process, which may be stopped; it may also have ended."""
    try:
        os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return


def _delete_namespace(name: str) -> None:
    if not _OUR_NAMESPACE.fullmatch(name):
        raise LeftoversError(
            f"the journal asks to delete {name!r}, which is not a network namespace of a run", _MEDDLED
        )
    if exists(name):
        delete(name)


def _remove_project(run_id: str) -> None:
    """More than once where that is needed: the engine finishes what it was asked for before."""
    deadline_s = time.monotonic() + _REMOVE_TIMEOUT_S
    while True:
        try:
            left = things_of(run_id)
            if not left:
                return
            problem = f"{', '.join(left)}: not removed from the Docker engine"
            remedy = "see dockerd's log; then orchestrator down"
            remove_things_of(run_id)
        except NoEngineError:
            raise
        except LeftoversError as error:
            problem, remedy = error.message, error.remedy
        if time.monotonic() > deadline_s:
            raise LeftoversError(problem, remedy)
        time.sleep(_POLL_S)


def _remove_cgroups(run_id: str) -> None:
    for directory in cgroups.groups_of(run_id):
        try:
            cgroups.remove(directory)
        except OSError as error:
            raise LeftoversError(f"{directory} cannot be removed: {error}", "see its cgroup.procs") from error


def carry_out_for(run_id: str, undo: Undo | UnknownUndo) -> None:
    """Does one undo out of the journal of a run, which lies in a folder that is not root's: only what has its id.

    Raises LeftoversError as `carry_out` does, and where the undo is another run's.
    """
    match undo:
        case EndProcesses(run) | RemoveProject(run) | RemoveCgroups(run):
            own = run == run_id
        case DeleteNamespace(name):
            own = name.startswith(namespace_name(run_id, ""))
        case _:
            own = True
    if not own:
        raise LeftoversError(f"the journal of run {run_id} asks to undo what is not its own: {undo}", _MEDDLED)
    carry_out(undo)


def by_marks(run_id: str) -> None:
    """Undoes what has the run's id where its journal is gone."""
    _remove_cgroups(run_id)
    _end_processes(run_id)
    for name in namespaces_of(run_id):
        _delete_namespace(name)
    with suppress(NoEngineError):  # most hosts of runs without containers have no engine
        _remove_project(run_id)
