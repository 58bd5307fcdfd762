"""One virtual machine: a stock kernel on this host's own files, with one processor under instruction counting.

The guest sees the host's whole tree, read-only below a layer in memory, so the checkout, its environment and bcc are
there without an image. QEMU counts instructions (one is a nanosecond) and skips idle time: what a guest's clock shows
depends on the guest alone and not on how busy the host is, so timing can be asserted there, and nowhere else. Such
times are simulated; they are no measurement of anything's latency.

A machine with more processors counts nothing and runs each on a thread of its own, so that they meet in every order.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from kernels import initramfs

if TYPE_CHECKING:
    from types import TracebackType

    from kernels.fetch import Toolbox

_SCRIPTS = Path(__file__).parent
_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
_KERNEL_ARGUMENTS = (
    "console=ttyS0 loglevel=5 "
    "tsc=reliable "  # older kernels distrust an emulated counter and fall back to a clock that is slow to read
    "mitigations=off "
    # virtiofsd fills pages behind QEMU's back: code that QEMU translated earlier from such a page would be run again,
    # did the guest not itself clear every page before use. Debian's default, but here everything rests on it.
    "init_on_alloc=1 "
    "oops=panic panic=-1"  # whatever a BPF program breaks ends the machine instead of a later test
)
#: A host that has other things to do looks to several processors like one whose timer is broken: Linux 5.10 gives up.
_IN_REAL_TIME = " no_timer_check"
_TAIL_LINES = 60


class MachineError(Exception):
    """A machine could not be started; the message holds the failing program's words."""


class Ending(StrEnum):
    """How a machine ended."""

    FINISHED = "the job ran to its end"
    TIMED_OUT = "the time allowed was over"
    DIED = "the guest ended without the job's exit code (a panic, or it could not start)"


@dataclass(frozen=True)
class Outcome:
    """What a machine left behind."""

    ending: Ending
    exit_code: int | None
    output: str
    kernel_log: str
    wall_s: float

    def __str__(self) -> str:
        """The end of both logs, as a failed test shows it."""
        said = [f"{self.ending} after {self.wall_s:.0f} s, exit code {self.exit_code}"]
        for title, text in (("output", self.output), ("kernel", self.kernel_log)):
            said += [f"--- {title}", *text.splitlines()[-_TAIL_LINES:]]
        return "\n".join(said)


class Machine:
    """A machine that runs one shell script as root and ends; a context manager, which leaves no process behind."""

    def __init__(
        self, toolbox: Toolbox, series: str, job: str, out: Path, *, cpus: int = 1, memory_mib: int = 2048
    ) -> None:
        """Starts nothing yet.

        Args:
            toolbox: from `fetch.fetch`.
            series: a kernel of the toolbox, as "6.12".
            job: text of the script. Its first argument is the guest's name of `out`; its exit code is the outcome's.
            out: a folder of the host that the guest writes to.
            cpus: its processors; only a single one is emulated under instruction counting.
            memory_mib: the guest's memory in MiB, which also holds everything it writes elsewhere.
        """
        self._toolbox = toolbox
        self._series = series
        self._job = job
        self._out = out
        self._cpus = cpus
        self._memory_mib = memory_mib
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Starts the machine.

        Raises:
            MachineError: virtiofsd or QEMU did not start.
        """
        with ExitStack() as stack:
            self._state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hedgerow-vm-")))
            self._started_ns = time.monotonic_ns()
            scripts = {"init": "guest-init.sh", "guest-job.sh": "guest-job.sh"}
            contents = {name: (_SCRIPTS / file).read_text() for name, file in scripts.items()} | {"job.sh": self._job}
            busybox = next(self._toolbox.busybox.rglob("bin/busybox"))
            image = initramfs.build(self._toolbox.kernels[self._series], busybox, contents)
            (self._state / "initramfs").write_bytes(image)
            self._share(stack, "host", Path("/"))
            self._share(stack, "out", self._out)
            self._emulator = self._start(stack, "qemu", self._qemu_command(), self._toolbox.qemu)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends whatever still runs."""
        self._stack.close()

    def wait(self, timeout_s: float) -> Outcome:
        """Waits for the job's end, `timeout_s` seconds of the host's time at most, and switches the machine off."""
        ending = Ending.FINISHED
        try:
            self._emulator.wait(timeout_s)
        except subprocess.TimeoutExpired:
            ending = Ending.TIMED_OUT
            self._emulator.kill()
            self._emulator.wait()
        code = self._read("exit-code").strip()
        if not code.isdigit() and ending is Ending.FINISHED:
            ending = Ending.DIED
        return Outcome(
            ending=ending,
            exit_code=int(code) if code.isdigit() else None,
            output=self._read("output"),
            kernel_log=self._read("qemu.log") + self._read("kernel"),
            wall_s=(time.monotonic_ns() - self._started_ns) / 1e9,
        )

    def _read(self, name: str) -> str:
        path = self._state / name
        return path.read_text(errors="replace").replace("\r", "") if path.exists() else ""

    def _start(self, stack: ExitStack, name: str, command: list[str], tree: Path) -> subprocess.Popen[bytes]:
        """Starts a program of an unpacked package; it dies with this process, however that ends."""
        libraries = ":".join(str(tree / path) for tree in (tree, self._toolbox.qemu) for path in _LIBRARIES)
        wrapped = ["setpriv", "--pdeathsig", "KILL", "--", "env", f"LD_LIBRARY_PATH={libraries}", *command]
        log = stack.enter_context((self._state / f"{name}.log").open("wb"))
        process = subprocess.Popen(wrapped, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        stack.callback(_end, process)
        return process

    def _share(self, stack: ExitStack, tag: str, folder: Path) -> None:
        """Serves `folder` to the guest under the name `tag`."""
        program = self._toolbox.virtiofsd / self._toolbox.virtiofsd_program
        socket = self._state / f"{tag}.socket"
        if program.parent.name == "qemu":  # the C program of QEMU 7.2
            options = ["-f", "-o", f"source={folder}", "-o", "cache=always", "-o", "sandbox=chroot"]
            options += ["--thread-pool-size=0"]  # a request's answer waits for no second thread
        else:  # its successor in Rust
            options = ["--shared-dir", str(folder), "--cache", "always", "--sandbox", "chroot"]
            options += ["--no-announce-submounts"]  # the guest's overlay takes no automounts below it
        # At the usual priority, whatever the emulator's is: a guest's clock runs far ahead while it waits for a file,
        # and serving one to its end takes but a second or two.
        command = ["chrt", "--other", "0", str(program), f"--socket-path={socket}", *options]
        server = self._start(stack, tag, command, self._toolbox.virtiofsd)
        while not socket.exists():
            if server.poll() is not None:
                raise MachineError(f"virtiofsd for {folder} ended: {self._read(f'{tag}.log')}")
            time.sleep(0.01)

    def _qemu_command(self) -> list[str]:
        share = self._toolbox.qemu / "usr/share"
        state, memory = self._state, f"{self._memory_mib}M"
        image = next((self._toolbox.kernels[self._series] / "boot").glob("vmlinuz*"))
        command = [str(self._toolbox.qemu / "usr/bin/qemu-system-x86_64")]
        for data in ("qemu", "seabios"):
            command += ["-L", str(share / data)]
        command += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
        # No wide vectors and no fast `rep movsb`: both are slow where every instruction is emulated.
        command += ["-cpu", "Nehalem", "-smp", str(self._cpus), "-m", memory, "-rtc", "clock=vm"]
        if self._cpus == 1:
            command += ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]
        else:
            command += ["-accel", "tcg,thread=multi"]
        arguments = _KERNEL_ARGUMENTS + (_IN_REAL_TIME if self._cpus > 1 else "")
        command += ["-kernel", str(image), "-initrd", str(state / "initramfs"), "-append", arguments]
        # Two serial lines, the kernel's log and the exit code, and a faster console for the job's output.
        command += ["-serial", f"file:{state / 'kernel'}", "-serial", f"file:{state / 'exit-code'}"]
        command += ["-chardev", f"file,id=output,path={state / 'output'}"]
        command += ["-device", "virtio-serial-pci", "-device", "virtconsole,chardev=output"]
        # virtiofsd reads requests in the guest's memory, so that has to be shared.
        command += [
            "-object",
            f"memory-backend-memfd,id=memory,size={memory},share=on",
            "-numa",
            "node,memdev=memory",
        ]
        for tag in ("host", "out"):
            command += ["-chardev", f"socket,id={tag},path={state / f'{tag}.socket'}"]
            command += ["-device", f"vhost-user-fs-pci,chardev={tag},tag={tag}"]
        return command


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
