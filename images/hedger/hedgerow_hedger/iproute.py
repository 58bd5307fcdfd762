"""Runs `ip` and `tc` in batches: for links and qdiscs, of which pyroute2 knows some and iproute2 all."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class IprouteError(Exception):
    """`ip` or `tc` refused a command; the message is the tool's own."""


def batch(tool: str, commands: Sequence[str]) -> None:
    """Runs `commands` of `tool` ("ip" or "tc") in order, up to the first that fails: then raises IprouteError."""
    done = subprocess.run(
        [tool, "-batch", "-"], input="\n".join(commands) + "\n", text=True, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise IprouteError(f"{tool}: {' '.join(done.stderr.split())}")


def output(*command: str) -> str:
    """What `command` prints; IprouteError where it fails."""
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise IprouteError(f"{' '.join(command)}: {' '.join(done.stderr.split())}")
    return done.stdout


def interface_towards(address: str) -> str:
    """The interface by which packets to `address` leave this network namespace; IprouteError where there is none."""
    (route,) = json.loads(output("ip", "-json", "route", "get", address))
    return str(route["dev"])
