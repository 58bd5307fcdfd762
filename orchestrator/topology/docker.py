"""The docker backend: the containers of compose.yaml, one compose project a run, on a bridge of its own.

Compose brings them up, so that there is one description of the topology; the engine's API does the rest. Where the
orchestrator is itself a service of that file (`docker compose up`), the containers are up already and stay.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

from hedgerow_node.protocol.limits import CLIENT, HEDGER, server_name
from orchestrator.errors import PrerequisiteError, RunError
from orchestrator.host.audit import PROCESS_VARIABLE
from orchestrator.host.engine import (
    NO_QUOTA,
    PROJECT_LABEL,
    QUOTA_PERIOD_US,
    engine,
    engine_errors,
    engine_facts,
    project_name,
)
from orchestrator.host.locks import ROOT as CONTROL_INSIDE
from orchestrator.host.undo import carry_out
from orchestrator.runfolder.journal import EndProcesses, ReleaseContainers, RemoveProject
from orchestrator.topology.base import Containers
from orchestrator.topology.images import ROOT, describe
from orchestrator.topology.nodes import Nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker.models.containers import Container

    from docker import DockerClient
    from hedgerow_node.control import ControlClient
    from orchestrator.host.live import LiveRun
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.runfolder.journal import Journal
    from orchestrator.topology.base import Layout

T = TypeVar("T")

MAX_REPLICAS = 3  #: as many servers as compose.yaml has
SERVICES = ("server", "client", "hedger")
_COMPOSE_TIMEOUT_S = 60.0
_COMPOSE_END_S = 20.0  #: it waits for the engine, which finishes what it was asked for
_SIGNALLED = 128  #: exit codes above it name the signal


def inside() -> bool:
    """Whether this process runs in a container of the compose project."""
    return os.environ.get("HEDGEROW_INSIDE") == "1"


class DockerTopology:
    """The containers of one run."""

    backend = "docker"

    def __init__(self, layout: Layout, live: LiveRun, journal: Journal, folder: RunFolder) -> None:
        self._layout, self._live, self._journal, self._folder = layout, live, journal, folder
        self._nodes = Nodes(self._ending, self._words)
        self._containers: dict[str, Container] = {}
        self._addresses: list[tuple[str, int]] = []
        self._description: Containers | None = None
        self._made = False
        self._releases: list[str] = []  #: containers that faults of this run may pause or limit
        self._stack = ExitStack()
        self._since_s = int(time.time())  #: what containers printed before is not of this run

    def up(self) -> None:
        """Containers and control channels; PrerequisiteError where there is no engine, RunError where one fails."""
        if inside():
            self._stack.enter_context(_alone())
        else:
            self._compose_up()
        client = self._stack.enter_context(engine())
        if client is None:
            raise PrerequisiteError("no Docker engine answers", "orchestrator doctor says what is missing")
        try:
            self._take_over(client)
        except engine_errors() as error:
            raise RunError(
                f"the Docker engine: {error}", "check whether something else removes the run's containers"
            ) from error

    def down(self) -> None:
        """Keeps what the programs printed, and removes containers and network where this run made them.

        Every step is taken, even if one before it fails; then the error is raised.
        """
        self._nodes.close()
        with ExitStack() as last_first:
            last_first.callback(self._remove_project)
            last_first.callback(self._end_compose)
            last_first.callback(self._stack.close)
            last_first.callback(self._keep_logs)
            last_first.callback(self._release)

    def _release(self) -> None:
        if self._releases:
            carry_out(ReleaseContainers(tuple(self._releases)))
            self._releases = []

    def _end_compose(self) -> None:
        if self._made:
            carry_out(EndProcesses(self._live.run_id))

    def _remove_project(self) -> None:
        if self._made:
            carry_out(RemoveProject(self._live.run_id))
            self._made = False

    def servers(self) -> list[tuple[str, int]]:
        """Address and port of every replica."""
        return self._addresses

    def control(self, node: str) -> ControlClient:
        """The control channel of a node."""
        return self._nodes[node]

    def check(self) -> None:
        """Raises RunError where a container, its program or a worker of that has ended."""
        self._nodes.check()

    def freeze(self, node: str) -> None:
        """By pausing the container."""
        self._ask(self._containers[node].pause)

    def thaw(self, node: str) -> None:
        """See `freeze`."""
        if self.frozen(node):
            self._ask(self._containers[node].unpause)

    def frozen(self, node: str) -> bool:
        """As the engine reports."""
        self._ask(self._containers[node].reload)
        return bool(self._containers[node].status == "paused")

    def limit_cpu(self, node: str, percent: float | None) -> None:
        """By the container's quota."""
        quota = round((percent or 0) / 100 * QUOTA_PERIOD_US)
        limit = NO_QUOTA if percent is None else {"cpu_period": QUOTA_PERIOD_US, "cpu_quota": quota}
        self._ask(lambda: self._containers[node].update(**limit))

    def throttled(self, node: str) -> int:
        """The engine's count of throttled periods, read once rather than twice a second apart."""
        statistics = self._ask(lambda: self._containers[node].stats(stream=False, one_shot=True))
        return int(statistics["cpu_stats"]["throttling_data"]["throttled_periods"])

    def describe(self) -> Containers | None:
        """The engine and the images; None before `up`."""
        return self._description

    @staticmethod
    def _ask(request: Callable[[], T]) -> T:
        try:
            return request()
        except engine_errors() as error:
            raise RunError(f"the Docker engine: {error}", "see dockerd's log") from error

    def _take_over(self, client: DockerClient) -> None:
        """Connects to the programs in the containers and asks what they are."""
        self._find(client)
        sockets = CONTROL_INSIDE if inside() else self._live.path
        for node, container in self._containers.items():
            name = f"server-{container.id[:12]}" if node not in (CLIENT, HEDGER) else node
            self._nodes.connect(node, sockets / f"{name}.sock")
        self._addresses = self._listening()
        if self._layout.freezes or self._layout.limits:
            self._releases = [container.id for node, container in self._containers.items() if node != HEDGER]
            self._journal.change("pause containers or limit them", ReleaseContainers(tuple(self._releases)))
        roles = {"server": self._containers[server_name(0)], **{n: self._containers[n] for n in (CLIENT, HEDGER)}}
        self._description = Containers(engine_facts(client), describe(client, roles))

    def _compose_up(self) -> None:
        """Compose runs in a session of its own and is waited for: half-made containers would escape the undo."""
        run_id = self._live.run_id
        self._journal.change(f"make containers and network of {project_name(run_id)}", RemoveProject(run_id))
        self._journal.change("start compose", EndProcesses(run_id))
        self._made = True
        command = ["docker", "compose", "--project-name", project_name(run_id), "up", "--detach", "--no-build"]
        command += ["--pull", "never", "--quiet-pull", *SERVICES]
        environment = {
            "HEDGEROW_CONTROL": str(self._live.path),
            "HEDGEROW_RECORDS": str(self._folder.raw),
            "HEDGEROW_PORT": str(self._layout.port),
            "HEDGEROW_CHECK_INTERVAL": "1h",
            PROCESS_VARIABLE: run_id,
        }
        try:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise PrerequisiteError("docker is missing", "orchestrator doctor says what is missing") from error
        words = _words_of(process)
        if process.returncode != 0:
            last = (words.strip().splitlines() or ["no output"])[-1]
            raise RunError(f"docker compose up failed: {last}", "orchestrator doctor says what is missing")

    def _find(self, client: DockerClient) -> None:
        """The project's containers by node name; a scenario uses the first servers."""
        project = project_name(self._live.run_id)
        if inside():
            project = client.containers.get(socket.gethostname()).labels[PROJECT_LABEL]
        found: dict[str, Container] = {}
        for container in client.containers.list(all=True, filters={"label": f"{PROJECT_LABEL}={project}"}):
            service = container.labels["com.docker.compose.service"]
            replica = int(container.labels["com.docker.compose.container-number"]) - 1
            if service in (CLIENT, HEDGER):
                found[service] = container
            elif service == "server" and replica < self._layout.replicas:
                found[server_name(replica)] = container
        wanted = [*(server_name(n) for n in range(self._layout.replicas)), CLIENT, HEDGER]
        absent = [node for node in wanted if node not in found]
        if absent:
            raise RunError(f"compose made no container for {', '.join(absent)}", "see compose.yaml")
        self._containers = {node: found[node] for node in wanted}

    def _listening(self) -> list[tuple[str, int]]:
        """Where the servers listen, which must be the scenario's port."""
        wanted, addresses = self._layout.port, []
        for replica in range(self._layout.replicas):
            node = server_name(replica)
            (port,) = {port for _, port in self._nodes[node].call("ping")["listening"]}
            if port != wanted:
                raise PrerequisiteError(
                    f"{node} listens on port {port}, the scenario asks {wanted}",
                    f"HEDGEROW_PORT={wanted} docker compose up …",
                )
            (network,) = self._containers[node].attrs["NetworkSettings"]["Networks"].values()
            addresses.append((network["IPAddress"], port))
        return addresses

    def _ending(self, node: str) -> str | None:
        container = self._containers[node]
        try:
            container.reload()
        except engine_errors() as error:
            return str(error)
        state = container.attrs["State"]
        if state["Running"]:
            return None
        if state["OOMKilled"]:
            return "out of memory"
        code = int(state["ExitCode"])
        return f"killed by {signal.Signals(code - _SIGNALLED).name}" if code > _SIGNALLED else f"exit code {code}"

    def _words(self, node: str) -> str:
        text: bytes = self._containers[node].logs(tail=5)
        return "; ".join(text.decode(errors="replace").splitlines())

    def _keep_logs(self) -> None:
        with self._folder.log.open("a", encoding="utf-8") as log:
            for node, container in self._containers.items():
                try:
                    text: bytes = container.logs(since=self._since_s)
                except engine_errors() as error:  # something removed it: its end has been reported
                    text = f"its output is lost: {error}".encode()
                log.writelines(f"{node} | {line}\n" for line in text.decode(errors="replace").splitlines())
        self._containers = {}


def _words_of(process: subprocess.Popen[str]) -> str:
    """What compose prints until it ends; RunError where it takes too long, which ends it.

    An interrupt, too, is raised only once compose has ended or was killed.
    """
    try:
        return process.communicate(timeout=_COMPOSE_TIMEOUT_S)[1]
    except subprocess.TimeoutExpired as error:
        os.killpg(process.pid, signal.SIGTERM)
        raise RunError(
            f"docker compose up takes longer than {_COMPOSE_TIMEOUT_S:g} s",
            "see dockerd's log",
        ) from error
    finally:
        if process.returncode is None:
            _wait_or_kill(process)


def _wait_or_kill(process: subprocess.Popen[str]) -> None:
    try:
        process.communicate(timeout=_COMPOSE_END_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@contextmanager
def _alone() -> Iterator[None]:
    """While entered, no other run takes over the containers that share this one's sockets.

    `docker compose run orchestrator …` beside `docker compose up` would.
    """
    with (CONTROL_INSIDE / "taken").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PrerequisiteError(
                "another run uses these containers",
                "wait for its end, or start others: docker compose --project-name",
            ) from error
        yield
