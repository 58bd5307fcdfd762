"""The project as a wheel, installed into a fresh environment away from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".*cache", "results", "build", "*.egg-info", "__pycache__", "tests"
)


@dataclass(frozen=True)
class InstalledWheel:
    """Its environment's folder of programs, and the folder that commands are run in."""

    programs: Path
    outside: Path

    def run(self, program: str, *arguments: str, patience_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
        """A program of the environment, to its end; it knows nothing of the checkout."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.run(
            [str(self.programs / program), *arguments],
            cwd=self.outside,
            env={**kept, "XDG_CACHE_HOME": str(self.outside / "cache")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=patience_s,
            check=False,
        )

    @property
    def packages(self) -> Path:
        """The folder that the wheel was installed into."""
        return next(self.programs.parent.glob("lib/python3*/site-packages"))


def install_wheel(folder: Path) -> InstalledWheel:
    """Builds the wheel without a network and installs it in `folder`.

    What the project depends on, bcc among it, is lent by the environment of the tests: that one is put behind the
    fresh one's own packages by its plain path, so the editable installation in it is not taken up.
    """
    source, wheels, environment = folder / "source", folder / "wheels", folder / "environment"
    shutil.copytree(CHECKOUT, source, symlinks=True, ignore=_LEFT_OUT)
    _pip("wheel", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(wheels), str(source))
    shutil.rmtree(source)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    made = InstalledWheel(environment / "bin", folder / "outside")
    made.outside.mkdir()
    (wheel,) = wheels.iterdir()
    _pip("--python", str(environment / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel))
    (made.packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return made


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
