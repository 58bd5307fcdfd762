"""The client's compiled programs: where they are, how they get a block's settings, and how a worker becomes one.

A forked worker that turns into a program keeps its number, its channel and its bond to the supervisor, so watching,
pausing and ending it needs no special case.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hedgerow_client.arrivals import open_offsets_ns
from hedgerow_client.loop import spin_ns
from hedgerow_node.addresses import format_endpoint
from hedgerow_node.control import ControlError
from hedgerow_node.protocol.client import BlockSettings, ClosedArrivals, OpenArrivals

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

_SOURCES = Path(__file__).resolve().parent / "native"  #: package data
_BUILD = _SOURCES / "build"
_REMEDY = "run `make setup`, or for containers `orchestrator images build`"
_STAMP = "sources"  #: the file beside the programs that holds the digest of what they were made from


def locate(name: str) -> Path:
    """The compiled program `name`. ControlError where it is missing, or was made from other sources than are here.

    A checkout and an image have a folder of programs beside the sources. Where there is none, as in an installed
    wheel, the first that asks compiles them into the user's cache.
    """
    if not _BUILD.exists():
        return _cached() / name
    program, stamp = _BUILD / name, _BUILD / _STAMP
    if not program.exists() or not stamp.exists():
        raise ControlError(f"{program} is missing, it has not been compiled; {_REMEDY}")
    if _digest() != stamp.read_text(encoding="utf-8").strip():
        raise ControlError(f"{program} was compiled from other sources than these; {_REMEDY}")
    return program


def _digest() -> str:
    """As the Makefile computes it."""
    sources = [*_SOURCES.glob("*.c"), *_SOURCES.glob("*.h"), _SOURCES / "Makefile"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(sources))).hexdigest()


def _cached() -> Path:
    """The folder of the cache that holds the programs of these sources, compiled now where there is none."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    cache = (Path(base) if base.startswith("/") else Path.home() / ".cache") / "hedgerow"
    folder = cache / f"native-{_digest()[:16]}"
    if not folder.exists():
        _compile_into(folder)
    found = folder.stat()
    # They run with the client's rights, mostly root's: no other user may have put them there.
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ControlError(f"{folder} can be written by others than this user; remove it, or set XDG_CACHE_HOME")
    return folder


def _compile_into(folder: Path) -> None:
    missing = [tool for tool in ("cc", "make") if shutil.which(tool) is None]
    if missing:
        raise ControlError(
            f"the client's programs must be compiled first, there is no {' and no '.join(missing)}; "
            "apt install gcc libc6-dev make"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Made aside and put in place at once: two runs may compile at the same time.
    with tempfile.TemporaryDirectory(prefix="native-", dir=folder.parent) as aside:
        built = Path(aside, "build")
        done = subprocess.run(
            ["make", "--silent", "-C", str(_SOURCES), f"BUILD={built}"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise ControlError(f"the client's programs cannot be compiled: {last}; apt install gcc libc6-dev make")
        built.chmod(0o700)
        try:
            built.rename(folder)
        except OSError:
            if not folder.exists():
                raise


def become_worker_program(program: str, settings: BlockSettings, samples: Path, channel: socket.socket) -> NoReturn:
    """Run the block, in place of the calling worker, by the compiled `program`; OSError where it cannot start."""
    arrivals, options = settings.arrivals, _common_options(settings)
    options += [
        f"--samples={samples}",
        f"--first-id={settings.requests.first_id}",
        f"--count={settings.requests.count}",
        f"--warmup-first-id={settings.warmup.first_id}",
        f"--warmup-count={settings.warmup.count}",
        f"--lead-ns={settings.whole_lead_ns}",
        f"--patience-ns={settings.patience_ns}",
        f"--users={arrivals.users}",
        f"--spin-ns={spin_ns(settings)}",
    ]
    if isinstance(arrivals, ClosedArrivals):
        options.append(f"--think-ns={arrivals.think_ns}")
    else:
        options.append(f"--schedule={_schedule_fd(settings, arrivals)}")
    _become(locate(program), options, channel)


def become_proxy(program: str, settings: BlockSettings, channel: socket.socket) -> NoReturn:
    """Be, in place of the calling worker, the proxy that hedges for this block's client. OSError as above."""
    _become(locate(program), [*_common_options(settings), "--listen=127.0.0.1:0"], channel)


def _common_options(settings: BlockSettings) -> list[str]:
    request, response = settings.places
    return [
        *(f"--replica={format_endpoint(*server)}" for server in settings.servers),
        f"--spread={settings.spread}",
        f"--target={settings.target}",
        f"--payload={settings.payload}",
        f"--timeout-ns={settings.timeout_ns}",
        f"--hedge-delay-ns={settings.hedge_delay_ns}",
        f"--drain-ns={settings.drain_ns}",
        f"--request-id={request.offset}:{request.length}",
        f"--response-id={response.offset}:{response.length}",
    ]


def _schedule_fd(settings: BlockSettings, arrivals: OpenArrivals) -> int:
    """A file in memory, which the program inherits, of the warm-up's offsets and then the others'."""
    fd = os.memfd_create("schedule", 0)
    with os.fdopen(fd, "wb", closefd=False) as file:
        open_offsets_ns(arrivals, settings.warmup, warm_up=True).tofile(file)
        open_offsets_ns(arrivals, settings.requests, warm_up=False).tofile(file)
    return fd


def _become(program: Path, options: Sequence[str], channel: socket.socket) -> NoReturn:
    channel.set_inheritable(True)
    os.execv(program, [str(program), f"--channel={channel.fileno()}", *options])  # noqa: S606 (no shell is wanted)
