"""Takes back what a journal says was changed. Each undo may be repeated, and finds nothing to do the second time."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from orchestrator.errors import LeftoversError
from orchestrator.host import cgroups
from orchestrator.host.audit import namespace_name, namespaces_of, processes_of
from orchestrator.host.engine import NoEngineError, release_things, remove_things_of, things_of
from orchestrator.host.namespaces import delete, exists

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_END_TIMEOUT_S = 3.0
_REMOVE_TIMEOUT_S = 10.0  #: containers on a busy host take their time
_POLL_S = 0.01
_OUR_NAMESPACE = re.compile(r"hr-[0-9a-f]{6}-[a-z0-9]+")  #: see `audit.namespace_name`
_MEDDLED = "see who else writes to the run's folder"


def end_processes(run_id: str) -> dict[str, Any]:
    """The undo of starting processes for a run."""
    return {"do": "end-processes", "run": run_id}


def delete_namespace(name: str) -> dict[str, Any]:
    """The undo of making a network namespace."""
    return {"do": "delete-namespace", "name": name}


def remove_project(run_id: str) -> dict[str, Any]:
    """The undo of making containers, network and volumes for a run."""
    return {"do": "remove-project", "run": run_id}


def remove_cgroups(run_id: str) -> dict[str, Any]:
    """The undo of making control groups for a run: they are thawed and their limits lifted. Processes are ended
    after it, not before, since frozen ones do not end.
    """
    return {"do": "remove-cgroups", "run": run_id}


def release_controller() -> dict[str, Any]:
    """The undo of handing the cpu controller down from the root of the control groups."""
    return {"do": "release-cpu-controller"}


def release_containers(ids: Sequence[str]) -> dict[str, Any]:
    """The undo of pausing containers and of limiting their CPU time; for those that outlive the run."""
    return {"do": "release-containers", "containers": list(ids)}


def carry_out(undo: dict[str, Any]) -> None:
    """Does one undo; LeftoversError where this version does not know it or it does not succeed."""
    action = _ACTIONS.get(undo.get("do", ""))
    if action is None:
        raise LeftoversError(f"the journal asks for an unknown undo: {undo}", "use the version that made the run")
    action(undo)


def _end_processes(undo: dict[str, Any]) -> None:
    """SIGTERM first, since programs then take away what they attached; SIGKILL for those that do not heed it."""
    run_id = undo["run"]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes_of(run_id):
            _send(pid, number)
        deadline_s = time.monotonic() + _END_TIMEOUT_S
        while processes_of(run_id):
            if time.monotonic() > deadline_s:
                break
            time.sleep(_POLL_S)
        else:
            return
    raise LeftoversError(f"processes {processes_of(run_id)} do not end", "see what holds them: cat /proc/PID/stack")


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return


def _delete_namespace(undo: dict[str, Any]) -> None:
    name = undo["name"]
    if not _OUR_NAMESPACE.fullmatch(name):
        raise LeftoversError(f"the journal asks to delete {name!r}, which is no run's network namespace", _MEDDLED)
    if exists(name):
        delete(name)


def _remove_project(undo: dict[str, Any]) -> None:
    """More than once where that is needed: the engine finishes what it was asked for before."""
    deadline_s = time.monotonic() + _REMOVE_TIMEOUT_S
    while True:
        try:
            left = things_of(undo["run"])
            if not left:
                return
            problem = f"{', '.join(left)}: not removed from the Docker engine"
            remedy = "see dockerd's log; then orchestrator down"
            remove_things_of(undo["run"])
        except NoEngineError:
            raise
        except LeftoversError as error:
            problem, remedy = error.message, error.remedy
        if time.monotonic() > deadline_s:
            raise LeftoversError(problem, remedy)
        time.sleep(_POLL_S)


def _remove_cgroups(undo: dict[str, Any]) -> None:
    for directory in cgroups.groups_of(undo["run"]):
        try:
            cgroups.remove(directory)
        except OSError as error:
            raise LeftoversError(f"{directory} cannot be removed: {error}", "see its cgroup.procs") from error


_ACTIONS: dict[str, Callable[[dict[str, Any]], None]] = {
    "end-processes": _end_processes,
    "delete-namespace": _delete_namespace,
    "remove-project": _remove_project,
    "remove-cgroups": _remove_cgroups,
    "release-cpu-controller": lambda _: cgroups.release_controller(),
    "release-containers": lambda undo: release_things(undo["containers"]),
}


def carry_out_for(run_id: str, undo: dict[str, Any]) -> None:
    """Does one undo out of the journal of a run, which lies in a folder that is not root's: only what bears its id.

    Raises LeftoversError as `carry_out` does, and where the undo is another run's.
    """
    prefix = namespace_name(run_id, "")
    if undo.get("run", run_id) != run_id or not undo.get("name", prefix).startswith(prefix):
        raise LeftoversError(f"the journal of run {run_id} asks to undo what is not its own: {undo}", _MEDDLED)
    carry_out(undo)


def by_marks(run_id: str) -> None:
    """Undoes what bears the run's id where its journal is gone."""
    _remove_cgroups(remove_cgroups(run_id))
    _end_processes(end_processes(run_id))
    for name in namespaces_of(run_id):
        _delete_namespace(delete_namespace(name))
    with suppress(NoEngineError):  # most hosts of runs without containers have no engine
        _remove_project(remove_project(run_id))
