"""The Docker engine of this host, if one answers: how to reach it, and what bears a run's id in it.

The engine's own label, the compose project, is the mark: `hedgerow-<run id>`. The SDK is imported only where an
engine's socket exists, since that takes longer than all that a run without Docker asks here.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from orchestrator.errors import LeftoversError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from docker import DockerClient

PROJECT_LABEL = "com.docker.compose.project"
SOCKET = Path("/var/run/docker.sock")
_TIMEOUT_S = 30
#: The engine refuses with 404 what is gone by now, with 409 what is being removed.
_GONE = (404, 409)
_REMEDY = "start it, or see dockerd's log; then orchestrator down"
QUOTA_PERIOD_US = 100_000  #: in which a CPU quota is counted, the kernel's own default
NO_QUOTA = {"cpu_period": QUOTA_PERIOD_US, "cpu_quota": -1}  #: for `update` of a container


class NoEngineError(LeftoversError):
    """No engine answers, so its contents are unknown."""


def project_name(run_id: str) -> str:
    """The compose project of a run."""
    return f"hedgerow-{run_id}"


def engine_errors() -> tuple[type[Exception], ...]:
    """What asking an engine may raise: its own refusals, and the connection's end."""
    from docker.errors import DockerException  # noqa: PLC0415 - see above
    from requests.exceptions import RequestException  # noqa: PLC0415

    return DockerException, RequestException


@contextmanager
def engine() -> Iterator[DockerClient | None]:
    """A client of the engine, None where none answers; `DOCKER_HOST` is respected."""
    if "DOCKER_HOST" not in os.environ and not SOCKET.exists():
        yield None
        return
    import docker  # noqa: PLC0415 - see above

    try:
        client = docker.from_env(timeout=_TIMEOUT_S)
        client.ping()
    except engine_errors():
        yield None
        return
    try:
        yield client
    finally:
        client.close()


@dataclass(frozen=True)
class EngineFacts:
    """What an engine reports about itself: versions of its parts, and by what it runs and limits containers."""

    version: str
    api: str
    components: dict[str, str]
    runtime: str | None
    storage_driver: str | None
    cgroup_driver: str | None
    cgroup_version: str | None
    security: tuple[str, ...] | None


def engine_facts(client: DockerClient) -> EngineFacts:
    """Of the engine behind `client`."""
    version, info = client.version(), client.info()
    security = info.get("SecurityOptions")
    return EngineFacts(
        version=version["Version"],
        api=version["ApiVersion"],
        components={part["Name"]: part["Version"] for part in version.get("Components") or ()},
        runtime=info.get("DefaultRuntime"),
        storage_driver=info.get("Driver"),
        cgroup_driver=info.get("CgroupDriver"),
        cgroup_version=info.get("CgroupVersion"),
        security=None if security is None else tuple(security),
    )


@contextmanager
def _answering() -> Iterator[DockerClient]:
    """A client for undoing: NoEngineError where no engine answers, LeftoversError where it fails."""
    with engine() as client:
        if client is None:
            raise NoEngineError("no Docker engine answers, and containers may be left in it", _REMEDY)
        try:
            yield client
        except engine_errors() as error:
            raise LeftoversError(f"the Docker engine: {error}", _REMEDY) from error


def things_of(run_id: str) -> list[str]:
    """The containers, networks and volumes of the run's project; LeftoversError where no engine says."""
    with _answering() as client:
        return [f"{kind} {name}" for kind, name, _ in _things(client, project_name(run_id))]


def remove_things_of(run_id: str) -> None:
    """Removes them, running containers too; harmless where there are none, LeftoversError where no engine says."""
    with _answering() as client:
        _remove(client, project_name(run_id))


def release_things(ids: Sequence[str]) -> None:
    """Resumes these containers where they are paused and lifts limits of their CPU time; they may be gone.

    All of them, also where it fails for one; then LeftoversError.
    """
    with _answering() as client, ExitStack() as each:
        for container_id in ids:
            each.callback(_release, client, container_id)


def _release(client: DockerClient, container_id: str) -> None:
    from docker.errors import NotFound  # noqa: PLC0415 - see above

    try:
        container = client.containers.get(container_id)
    except NotFound:
        return
    if container.status == "paused":
        _forgiving(container.unpause)
    _forgiving(container.update, **NO_QUOTA)


class _Removable(Protocol):
    """A container, network or volume, as the SDK has it."""

    def remove(self, **options: bool) -> None: ...


def _things(client: DockerClient, project: str) -> list[tuple[str, str, _Removable]]:
    """Kind, name and object of each."""
    of_project = {"label": f"{PROJECT_LABEL}={project}"}
    containers = client.containers.list(all=True, filters=of_project, sparse=True)
    found: list[tuple[str, str, _Removable]] = [
        ("container", container.attrs["Names"][0].lstrip("/"), container) for container in containers
    ]
    found += [("network", network.name, network) for network in client.networks.list(filters=of_project)]
    found += [("volume", volume.name, volume) for volume in client.volumes.list(filters=of_project)]
    return found


def _remove(client: DockerClient, project: str) -> None:
    """All containers at once, then what they used."""
    things = _things(client, project)
    containers = [thing for kind, _, thing in things if kind == "container"]
    if containers:
        with ThreadPoolExecutor(len(containers)) as pool:
            list(pool.map(lambda container: _forgiving(container.remove, force=True, v=True), containers))
    for kind, _, thing in things:
        if kind != "container":
            _forgiving(thing.remove)


def _forgiving(change: Callable[..., None], **options: int) -> None:
    from docker.errors import APIError  # noqa: PLC0415 - see above

    try:
        change(**options)
    except APIError as error:
        if error.status_code not in _GONE:
            raise
