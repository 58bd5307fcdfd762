"""The images of compose.yaml: built, looked for, and described for the manifest."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import PrerequisiteError
from orchestrator.topology.base import NodeImage

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker.models.containers import Container

    from docker import DockerClient

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("server", "client", "hedger", "orchestrator")
BASE_IMAGE = "debian:trixie-slim"
_BASE_LABEL = "hedgerow.base"  #: borne by a base image that was made here, inherited by all built on it
_PACKAGES = "/opt/hedgerow/packages"
#: A step that a builder begins: of BuildKit's plain progress, or of the builder before it.
_BUILD_STEP = re.compile(r"(?:#\d+ )?(?P<text>\[(?!internal)[^\]]*\d+/\d+\] .*|Step \d+/\d+ : .*)")


def image_name(role: str) -> str:
    """The image of a role."""
    return f"hedgerow-{role}"


def missing_images(client: DockerClient, roles: tuple[str, ...] = ROLES) -> list[str]:
    """The images that are not there."""
    here = {tag.removesuffix(":latest") for image in client.images.list() for tag in image.tags}
    return [image_name(role) for role in roles if image_name(role) not in here]


def build(client: DockerClient, offline: bool, say: Callable[[str], None]) -> None:
    """Builds all images; the base image is pulled, or made here where that fails or `offline` asks for it.

    `say` is called with a line for each step; PrerequisiteError, with the tool's last line, where one fails.
    """
    if not (ROOT / "compose.yaml").exists():
        raise PrerequisiteError("this installation has no compose.yaml", "build images from a checkout")
    base = [tag for image in client.images.list() for tag in image.tags if tag == BASE_IMAGE]
    if not base and (offline or not _pulled(say)):
        say(f"making {BASE_IMAGE} with mmdebstrap from this host's Debian mirror")
        _step([str(ROOT / "images" / "offline-base"), BASE_IMAGE], say)
    say(f"building {', '.join(image_name(role) for role in ROLES)}")
    _step(["docker", "compose", "build", *ROLES], say)


def describe(client: DockerClient, containers: dict[str, Container]) -> dict[str, NodeImage]:
    """The images of the running `containers` (by role), by name."""
    found = {}
    for role, container in containers.items():
        image = client.images.get(container.image.id)
        base = image.labels.get(_BASE_LABEL, BASE_IMAGE)
        found[image_name(role)] = NodeImage(id=image.id, base=base, packages=_packages(container))
    return found


def _packages(container: Container) -> dict[str, str]:
    """Read from the container's files: no process is started in it."""
    chunks, _ = container.get_archive(_PACKAGES)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        member = archive.extractfile(Path(_PACKAGES).name)
        text = member.read().decode() if member is not None else ""
    return dict(line.split("\t", 1) for line in text.splitlines())


def _pulled(say: Callable[[str], None]) -> bool:
    say(f"pulling {BASE_IMAGE}")
    done = subprocess.run(
        ["timeout", "60", "docker", "pull", "--quiet", BASE_IMAGE], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        say(f"it cannot be pulled: {_last_line(done.stderr)}")
    return done.returncode == 0


def _step(command: list[str], say: Callable[[str], None]) -> None:
    """Runs one tool, with a line for each step that it begins; PrerequisiteError where it fails."""
    try:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
    except FileNotFoundError as error:
        raise PrerequisiteError(f"{command[0]} is missing", "orchestrator doctor says what is missing") from error
    last, said = "", set()
    with process:
        for line in process.stdout or ():
            last = line.strip() or last
            step = _BUILD_STEP.match(line)
            if step is not None and step["text"] not in said:  # a builder repeats them when it goes on with one
                said.add(step["text"])
                say(f"  {step['text']}")
    if process.returncode != 0:
        raise PrerequisiteError(
            f"{' '.join(command)} failed: {last or 'no output'}",
            "run it by hand for all of its output; without a registry: orchestrator images build --offline",
        )


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1]
