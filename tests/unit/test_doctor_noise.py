"""What the doctor says of a noisy host: advice, never a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.doctor.checks import Check, State
from orchestrator.doctor.noise import look_at_noise
from support.fake_host import guest, laptop, plant

if TYPE_CHECKING:
    from pathlib import Path


def looked_at(root: Path, files: dict[str, str]) -> dict[str, Check]:
    return {check.name: check for check in look_at_noise(plant(root, files))}


def test_frequencies_that_vary(tmp_path: Path) -> None:
    found = looked_at(tmp_path, laptop())
    governor = found["governor"]
    assert (governor.state, governor.found) == (
        State.WARNING,
        "performance, powersave; 400 to 3100 MHz; turbo on",
    )
    assert governor.remedy == "cpupower frequency-set -g performance"
    assert (found["idle states"].state, found["clocksource"].state) == (State.OK, State.OK)
    assert "hypervisor" not in found
    assert found["CPU quota"].found == "150 % of one CPU"


def test_one_governor_for_performance_is_as_it_should_be(tmp_path: Path) -> None:
    files = {path: "performance" if path.endswith("governor") else text for path, text in laptop().items()}
    assert looked_at(tmp_path, files)["governor"].state is State.OK


def test_deep_idle_states(tmp_path: Path) -> None:
    files = {path: "0" if path.endswith("disable") else text for path, text in laptop().items()}
    idle = looked_at(tmp_path, files)["idle states"]
    assert (idle.state, idle.found) == (State.WARNING, "890 µs to wake up from the deepest")


def test_a_hypervisor_that_takes_time_away(tmp_path: Path) -> None:
    found = looked_at(tmp_path, guest())
    assert (found["hypervisor"].state, found["hypervisor"].found) == (State.WARNING, "one; steal 20.00 % since boot")
    assert "governor" not in found


def test_a_hypervisor_that_takes_none(tmp_path: Path) -> None:
    quiet = {**guest(), "proc/stat": "cpu  100 0 0 700 0 0 0 0 0 0\n"}
    assert looked_at(tmp_path, quiet)["hypervisor"].state is State.OK


def test_a_slow_clock(tmp_path: Path) -> None:
    slow = {"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n"}
    assert looked_at(tmp_path, slow)["clocksource"].state is State.WARNING


def test_it_is_advice_only(tmp_path: Path) -> None:
    for files in (laptop(), guest()):
        for check in look_at_noise(plant(tmp_path, files)):
            assert check.state is not State.MISSING
            assert check.state is State.OK or check.remedy
