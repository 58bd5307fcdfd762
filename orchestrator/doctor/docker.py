"""What the docker backend needs of the host. Nothing here prevents a run: the netns backend needs no Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.doctor.checks import Check, State
from orchestrator.host.engine import engine, engine_errors
from orchestrator.topology.images import missing_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

OLDEST_ENGINE = 23
#: What all images and their building take, with room to spare.
_DISK_GIB = 5
_SOCKET_REMEDY = "start it (systemctl start docker) and see that you may use it; --backend netns needs none"


def look_at_docker() -> Iterator[Check]:
    """Engine, Compose, images, privileged containers, MTU, disk and cgroups, as far as the engine tells."""
    try:
        yield from _look()
    except engine_errors() as error:
        yield Check(
            "Docker engine's answers", State.WARNING, str(error), "see dockerd's log; --backend netns needs none"
        )


def _look() -> Iterator[Check]:
    with engine() as client:
        if client is None:
            yield Check("Docker engine", State.WARNING, "none answers", _SOCKET_REMEDY)
            return
        yield _engine(client.version()["Version"])
        yield _compose()
        missing = missing_images(client)
        yield _verdict("images", not missing, f"no {', '.join(missing)}" if missing else "built", _IMAGES_REMEDY)
        yield _privileged(client, missing)
        yield _mtu(client)
        info = client.info()
    yield _disk(Path(info["DockerRootDir"]))
    yield _cgroups(info)


_IMAGES_REMEDY = "orchestrator images build; without a registry: orchestrator images build --offline"


def _verdict(name: str, good: bool, found: str, remedy: str) -> Check:
    return Check(name, State.OK if good else State.WARNING, found, "" if good else remedy)


def _engine(version: str) -> Check:
    match = re.match(r"\d+", version)
    new_enough = match is not None and int(match[0]) >= OLDEST_ENGINE
    return _verdict("Docker engine", new_enough, version, f"Docker {OLDEST_ENGINE} or newer; .ci/engine --install")


def _compose() -> Check:
    try:
        done = subprocess.run(
            ["docker", "compose", "version", "--short"], capture_output=True, text=True, check=False
        )
        version = done.stdout.strip().removeprefix("v") if done.returncode == 0 else ""
    except FileNotFoundError:
        version = ""
    remedy = "install Compose v2 (Debian: docker-compose from trixie, Ubuntu: docker-compose-v2)"
    return _verdict("Docker Compose", version[:1].isdigit() and version[0] >= "2", version or "none", remedy)


def _privileged(client: DockerClient, missing: list[str]) -> Check:
    """Tried, with an image of ours, since engines refuse for many reasons."""
    from docker.errors import DockerException  # noqa: PLC0415 - imported only where an engine is

    name = "privileged containers"
    if "hedgerow-server" in missing:
        return Check(name, State.WARNING, "not tried: no image yet", _IMAGES_REMEDY)
    try:
        client.containers.run("hedgerow-server", ["true"], privileged=True, remove=True, network_mode="none")
    except DockerException as error:
        words = str(error).splitlines()[-1]
        remedy = f"an engine of {OLDEST_ENGINE} or newer, not rootless; or compose.least-privilege.yaml"
        return Check(name, State.WARNING, words, remedy)
    return Check(name, State.OK, "allowed")


def _mtu(client: DockerClient) -> Check:
    """A bridge that lets through more than the way out does makes downloads in containers hang."""
    options: dict[str, str] = client.networks.get("bridge").attrs["Options"] or {}
    bridge = int(options.get("com.docker.network.driver.mtu", 1500))
    device = _uplink()
    if device is None:
        return Check("bridge MTU", State.OK, f"{bridge}, no uplink")
    uplink = int((Path("/sys/class/net") / device / "mtu").read_text(encoding="utf-8"))
    remedy = f'"mtu": {uplink} in /etc/docker/daemon.json, or dockerd --mtu {uplink}'
    return _verdict("bridge MTU", bridge <= uplink, f"{bridge}, uplink {device} {uplink}", remedy)


def _uplink() -> str | None:
    done = subprocess.run(["ip", "-json", "route", "show", "default"], capture_output=True, text=True, check=False)
    routes: list[dict[str, str]] = json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else []
    return routes[0]["dev"] if routes else None


def _disk(root: Path) -> Check:
    """The engine may be elsewhere, or its folder closed to us: then the file system it would be on is looked at."""
    while not os.access(root, os.R_OK):
        root = root.parent
    free_gib = shutil.disk_usage(root).free >> 30
    return _verdict("Docker's disk", free_gib >= _DISK_GIB, f"{free_gib} GiB free", "docker system prune")


def _cgroups(info: dict[str, object]) -> Check:
    version = info.get("CgroupVersion", "1")
    good = bool(info.get("CpuCfsQuota"))
    found = f"version {version}" + ("" if good else ", no CPU quota")
    return _verdict("cgroups", good, found, "a kernel with CONFIG_CFS_BANDWIDTH, for faults that limit CPUs")
