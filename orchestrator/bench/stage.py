"""Where the parts of the bench measure: a client's and two servers' namespaces, and the processes inside.

Everything bears the id of the bench and stands in its journal, so that `orchestrator down` finds what a killed bench
has left.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from orchestrator.errors import RunError
from orchestrator.host.audit import PROCESS_VARIABLE, namespace_name
from orchestrator.host.namespaces import DIRECTORY, create
from orchestrator.host.undo import carry_out
from orchestrator.runfolder.journal import DeleteNamespace, EndProcesses
from orchestrator.topology.bridged import CLIENT_ADDRESS, connect, server_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from orchestrator.host.live import LiveRun
    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.runfolder.journal import Journal

CLIENT = "client"
SERVERS = ("server0", "server1")
_END_TIMEOUT_S = 5.0


class Program:
    """A process in a namespace; what it prints goes to files."""

    def __init__(self, process: subprocess.Popen[bytes], name: str, stdout: Path, stderr: Path) -> None:
        self._process, self._name, self._stdout, self._stderr = process, name, stdout, stderr

    @property
    def pid(self) -> int:
        """The process's id, which is that of its process group, too."""
        return self._process.pid

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self._stdout.read_text(encoding="utf-8", errors="replace")

    @property
    def stderr(self) -> str:
        """What it has said so far."""
        return self._stderr.read_text(encoding="utf-8", errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait(self, timeout_s: float) -> str:
        """Waits for its end and returns what it printed; RunError where it fails or does not end in time."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise RunError(f"{self._name} is not done after {timeout_s:.0f} s", "is the host overloaded?") from error
        if code:
            raise RunError(f"{self._name} failed (exit code {code}): {self.words}", "see the words above")
        return self.stdout

    @property
    def words(self) -> str:
        """The last line it said, on stderr or else on stdout."""
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return lines[-1] if lines else "no output"

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process and all of its children."""
        os.killpg(self.pid, number)

    def end(self) -> str:
        """Ends it, by SIGTERM and in case of need by SIGKILL, and returns what it printed."""
        if self.is_running:
            self._process.terminate()
            self.signal(signal.SIGCONT)
            try:
                self._process.wait(_END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
                self._process.wait()
        return self.stdout


class Stage:
    """The namespaces, from `up` to `down`; `folder.raw` gets what programs print."""

    def __init__(self, live: LiveRun, journal: Journal, folder: RunFolder) -> None:
        self._live, self._journal = live, journal
        self.folder = folder.raw
        self._namespaces: list[str] = []
        self._started = 0

    def up(self) -> None:
        """Makes namespaces and links; PrerequisiteError where the host forbids it."""
        addresses = {role: server_address(number) for number, role in enumerate(SERVERS)}
        connect(self._make_namespace, {CLIENT: CLIENT_ADDRESS, **addresses})
        self._journal.change("start programs of the bench", EndProcesses(self._live.run_id))

    def down(self) -> None:
        """Ends what still runs and removes the namespaces; every step is taken, then the first error is raised."""
        with ExitStack() as last_first:
            for name in self._namespaces:
                last_first.callback(carry_out, DeleteNamespace(name))
            last_first.callback(carry_out, EndProcesses(self._live.run_id))

    def namespace(self, role: str) -> str:
        """The name of a role's namespace."""
        return namespace_name(self._live.run_id, role)

    @contextmanager
    def running(self, role: str, name: str, command: Sequence[str]) -> Iterator[Program]:
        """The program, while entered; must be called in the main thread, with whose end the program ends, too."""
        self._started += 1
        stdout, stderr = (self.folder / f"{self._started:03d}-{name}.{kind}" for kind in ("out", "err"))
        entered = ["setpriv", "--pdeathsig", "TERM", "nsenter", f"--net={DIRECTORY / self.namespace(role)}", "--"]
        with stdout.open("wb") as out, stderr.open("wb") as err:
            process = subprocess.Popen(
                [*entered, *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, PROCESS_VARIABLE: self._live.run_id, "TMPDIR": str(self._live.path)},
                start_new_session=True,  # the terminal's Ctrl-C is for the bench alone
            )
        program = Program(process, name, stdout, stderr)
        try:
            yield program
        finally:
            program.end()

    def run(self, role: str, name: str, command: Sequence[str], timeout_s: float) -> str:
        """Runs a program to its end and returns what it printed; RunError as `Program.wait`."""
        with self.running(role, name, command) as program:
            return program.wait(timeout_s)

    def _make_namespace(self, role: str) -> str:
        name = self.namespace(role)
        self._journal.change(f"make network namespace {name}", DeleteNamespace(name))
        self._namespaces.append(name)
        create(name)
        return name
