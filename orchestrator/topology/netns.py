"""The netns backend: the nodes' programs in network namespaces, joined by a bridge in a namespace of its own.

Nothing is made in the host's own network: the only traces are named namespaces, and processes that bear the run's id
in their environment and end with the orchestrator.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from hedgerow_node.protocol.limits import CLIENT, HEDGER, server_name
from orchestrator.host import cgroups
from orchestrator.host.audit import PROCESS_VARIABLE, namespace_name
from orchestrator.host.namespaces import DIRECTORY, create
from orchestrator.host.undo import carry_out
from orchestrator.runfolder.journal import DeleteNamespace, EndProcesses, ReleaseCpuController, RemoveCgroups
from orchestrator.topology import programs
from orchestrator.topology.bridged import CLIENT_ADDRESS, connect, server_address
from orchestrator.topology.nodes import Nodes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hedgerow_node.control import ControlClient
    from orchestrator.host.live import LiveRun
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.runfolder.journal import Journal
    from orchestrator.topology.base import Layout

_END_TIMEOUT_S = 3.0
#: Puts the shell into the control groups named before `--`, then becomes the command after it.
_ENTER = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 1; shift; done; shift; exec "$@"'


class NetnsTopology:
    """The nodes of one run; the folder's log receives what the programs print."""

    backend = "netns"

    def __init__(self, layout: Layout, live: LiveRun, journal: Journal, folder: RunFolder) -> None:
        self._layout, self._live, self._journal, self._log = layout, live, journal, folder.log
        self._replicas = range(layout.replicas)
        self._namespaces: list[str] = []
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._groups: dict[str, cgroups.Group] = {}
        self._releases_controller = False
        self._nodes = Nodes(self._ending, self._words)

    def up(self) -> None:
        """Namespaces, links and programs, in this order; RunError where a program does not come up."""
        self._connect_nodes()
        self._journal.change("start the nodes' programs", EndProcesses(self._live.run_id))
        self._make_groups()
        client = self._namespace("client")
        for replica in self._replicas:
            listen = f"0.0.0.0:{self._layout.port}"
            self._start(
                server_name(replica), self._namespace(f"server{replica}"), programs.SERVER, ["--listen", listen]
            )
        self._start(CLIENT, client, programs.CLIENT, [])
        self._start(HEDGER, client, programs.HEDGER, [])
        for node in self._processes:
            self._nodes.connect(node, self._socket(node))

    def down(self) -> None:
        """Ends the programs, the hedger first so that it can detach, and removes the namespaces.

        Control groups go first: frozen processes do not end. Every step is taken, even if one before it fails; then
        the error is raised.
        """
        self._nodes.close()
        with ExitStack() as last_first:
            last_first.callback(self._remove_namespaces)
            last_first.callback(self._end_programs)
            last_first.callback(self._remove_groups)

    def _remove_groups(self) -> None:
        if self._groups:
            carry_out(RemoveCgroups(self._live.run_id))
            self._groups = {}
        if self._releases_controller:
            carry_out(ReleaseCpuController())
            self._releases_controller = False

    def _end_programs(self) -> None:
        if self._processes:
            for node in (HEDGER, *self._processes):
                if node in self._processes:
                    self._end(self._processes.pop(node))
            carry_out(EndProcesses(self._live.run_id))

    def _remove_namespaces(self) -> None:
        while self._namespaces:
            carry_out(DeleteNamespace(self._namespaces[-1]))
            self._namespaces.pop()

    def servers(self) -> list[tuple[str, int]]:
        """Address and port of every replica."""
        return [(server_address(replica), self._layout.port) for replica in self._replicas]

    def control(self, node: str) -> ControlClient:
        """The control channel of a node."""
        return self._nodes[node]

    def check(self) -> None:
        """Raises RunError where a program or its worker has ended."""
        self._nodes.check()

    def freeze(self, node: str) -> None:
        """By the control group's freezer."""
        self._groups[node].freeze()

    def thaw(self, node: str) -> None:
        """See `freeze`."""
        self._groups[node].thaw()

    def frozen(self, node: str) -> bool:
        """As the freezer reports."""
        return self._groups[node].frozen

    def limit_cpu(self, node: str, percent: float | None) -> None:
        """By the control group's quota."""
        self._groups[node].limit(percent)

    def throttled(self, node: str) -> int:
        """The control group's nr_throttled."""
        return self._groups[node].throttled

    def describe(self) -> None:
        """There are no containers."""

    def _namespace(self, role: str) -> str:
        return namespace_name(self._live.run_id, role)

    def _make_groups(self) -> None:
        """Journalled after the programs though made before them: so they are taken away first."""
        wanted = {cgroups.FREEZER: self._layout.freezes, cgroups.CPU: self._layout.limits}
        controllers = frozenset(controller for controller, needed in wanted.items() if needed)
        if not controllers:
            return
        run_id = self._live.run_id
        if cgroups.needs_controller():  # also where only another run limits: whichever ends last gives it back
            self._journal.change("hand the cpu controller down to control groups", ReleaseCpuController())
            self._releases_controller = True
        self._journal.change(f"make control groups {cgroups.group_name(run_id, '')}*", RemoveCgroups(run_id))
        for node in (CLIENT, *map(server_name, self._replicas)):
            group = cgroups.prepare(cgroups.group_name(run_id, node), controllers)
            self._groups[node] = group
            group.make()

    def _connect_nodes(self) -> None:
        addresses = {"client": CLIENT_ADDRESS, **{f"server{n}": server_address(n) for n in self._replicas}}
        connect(self._make_namespace, addresses)

    def _make_namespace(self, role: str) -> str:
        name = self._namespace(role)
        self._journal.change(f"make network namespace {name}", DeleteNamespace(name))
        self._namespaces.append(name)
        create(name)
        return name

    def _start(self, node: str, namespace: str, program: Sequence[str], arguments: Sequence[str]) -> None:
        """nsenter rather than `ip netns exec`, which mounts another /sys; setpriv so that no program outlives us.

        The program enters its control groups before it is itself, so that all of its processes are inside.
        """
        entrances = self._groups[node].entrances if node in self._groups else ()
        command = ["sh", "-c", _ENTER, "sh", *map(str, entrances), "--"] if entrances else []
        command += ["setpriv", "--pdeathsig", "TERM", "nsenter", f"--net={DIRECTORY / namespace}", "--"]
        command += [sys.executable, *program, *arguments, "--control", str(self._socket(node))]
        with self._log.open("ab") as log:
            self._processes[node] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, PROCESS_VARIABLE: self._live.run_id, **self._temporary(node)},
                start_new_session=True,  # the terminal's Ctrl-C is for the orchestrator alone
            )

    def _temporary(self, node: str) -> dict[str, str]:
        """What the hedger compiles with goes where the run's end removes it, also where the hedger is killed."""
        return {"TMPDIR": str(self._live.path)} if node == HEDGER else {}

    def _socket(self, node: str) -> Path:
        return self._live.path / f"{node}.sock"

    def _ending(self, node: str) -> str | None:
        code = self._processes[node].poll()
        if code is None:
            return None
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def _words(self, node: str) -> str:
        lines = self._log.read_text(errors="replace", encoding="utf-8").splitlines()
        return "; ".join(line for line in lines if line.startswith(f"{node.partition('-')[0]}: "))

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(timeout=_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
