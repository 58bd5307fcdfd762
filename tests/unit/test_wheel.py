"""The project installed from a wheel, away from any checkout: its commands, its programs and the files they need."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from support.installed_wheel import CHECKOUT, InstalledWheel, install_wheel
from support.scenario_files import write_scenario


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> InstalledWheel:
    return install_wheel(tmp_path_factory.mktemp("wheel"))


def test_its_packages_are_its_own(wheel: InstalledWheel) -> None:
    program = "import orchestrator, hedgerow_node; print(orchestrator.__file__, hedgerow_node.__file__)"
    done = wheel.run("python", "-P", "-c", program)
    assert all(path.startswith(str(wheel.packages)) for path in done.stdout.split()), done


def test_it_holds_the_sources_that_are_compiled_and_the_report_s_templates(wheel: InstalledWheel) -> None:
    for folder, installed, patterns in [
        ("bpf", "hedgerow_hedger/bpf", ("*.c", "*.h")),
        (
            "images/client/hedgerow_client/native",
            "hedgerow_client/native",
            ("*.c", "*.h", "Makefile"),
        ),
        ("orchestrator/report/templates", "orchestrator/report/templates", ("*",)),
    ]:
        wanted = {path.name: path.read_bytes() for pattern in patterns for path in (CHECKOUT / folder).glob(pattern)}
        found = {path.name: path.read_bytes() for path in (wheel.packages / installed).iterdir()}
        assert wanted
        assert found == wanted


def test_it_validates_a_scenario(wheel: InstalledWheel) -> None:
    done = wheel.run("orchestrator", "validate", str(write_scenario(wheel.outside)))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("role", ["server", "client", "hedger"])
def test_its_programs_can_be_started(wheel: InstalledWheel, role: str) -> None:
    done = wheel.run("python", "-P", "-m", f"hedgerow_{role}", "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: {role}.py")


def test_it_draws_a_report(wheel: InstalledWheel) -> None:
    recorded = next((CHECKOUT / "tests" / "golden" / "0.1.0").glob("closed-*"))
    folder = wheel.outside / recorded.name
    shutil.copytree(recorded, folder)
    done = wheel.run("orchestrator", "report", str(folder))
    assert done.returncode == 0, done.stderr
    assert "<html" in Path(folder, "report.html").read_text()


def test_the_docker_backend_names_what_it_needs(wheel: InstalledWheel) -> None:
    scenario = str(write_scenario(wheel.outside))
    done = wheel.run("orchestrator", "run", scenario, "--backend", "docker", "--json")
    assert done.returncode == 4, done.stderr
    error = json.loads(done.stdout)["error"]
    assert "compose.yaml" in error["message"]
    assert "--backend netns" in error["remedy"]
