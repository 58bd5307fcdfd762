"""Makes the golden run folders of this version: small real runs by which later versions prove that they read them.

    sudo .venv/bin/python tests/golden/make.py         measure each scenario beside this file, about a minute in all
    .venv/bin/python tests/golden/make.py --analyse-only    what this version makes of the folders there are

They lie in tests/golden/VERSION/. Only the folder of this very version is ever written: those of versions before are
what they are. Where summary.json has a higher number now than theirs, what this version makes of them goes to
summaries-NUMBER/ beside them. tests/unit/test_golden.py says what has to come of each.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.analysis.run_data import RunData
from orchestrator.analysis.summarise import summarise
from orchestrator.commands.pipeline import evaluate
from orchestrator.errors import ExitCode
from orchestrator.runfolder.folder import RunFolder, list_runs, make_folder
from orchestrator.runfolder.format_versions import FORMAT_VERSIONS
from orchestrator.runfolder.integrity import write_checksums
from orchestrator.runfolder.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN = Path(__file__).resolve().parent
ROOT = GOLDEN.parents[1]
OURS = GOLDEN / version("hedgerow")
NUMBER = FORMAT_VERSIONS["summary.json"]
#: Relative, as the scenarios' paths are: manifests hold the command line. Ignored by git, so no run makes it dirty.
RESULTS = Path("results") / "golden"
MAX_BYTES = 150_000
_MEASURED = (ExitCode.DONE, ExitCode.REFUTED, ExitCode.INCONCLUSIVE)


def main() -> None:
    """Does what the command line asks for."""
    parser = argparse.ArgumentParser(description="Make the golden run folders of this version.")
    parser.add_argument("--analyse-only", action="store_true", help="measure nothing")
    if not parser.parse_args().analyse_only:
        _measure()
    for folder in [folder for version_folder in sorted(GOLDEN.glob("*/")) for folder in list_runs(version_folder)]:
        if json.loads(folder.summary.read_text())["schema"] == NUMBER:
            evaluate(folder, report=False)
        else:
            beside = folder.path.parent / f"summaries-{NUMBER}"
            beside.mkdir(exist_ok=True)
            (beside / f"{folder.name}.json").write_text(summarise(RunData.of(Run(folder))).as_text())
        print(f"{folder.path.relative_to(ROOT)}: {_size(folder)} bytes")


def _measure() -> None:
    """All scenarios first, then what they gave in place of what there was."""
    shutil.rmtree(ROOT / RESULTS, ignore_errors=True)
    made = [_measured(scenario) for scenario in sorted(GOLDEN.glob("*.yaml"))]
    shutil.rmtree(OURS, ignore_errors=True)
    make_folder(OURS)
    for folder in made:
        shutil.move(folder, OURS)
    (ROOT / RESULTS).rmdir()


def _measured(scenario: Path) -> Path:
    """The folder of a new run, without what only people read."""
    program = Path(sys.executable).with_name("orchestrator")
    command = [str(program), "run", str(scenario.relative_to(ROOT)), "--backend", "netns", "--no-report"]
    done = subprocess.run([*command, "--results", str(RESULTS)], cwd=ROOT, check=False)
    if done.returncode not in _MEASURED:
        sys.exit(f"{scenario.name}: exit {done.returncode}")
    *_, folder = list_runs(ROOT / RESULTS)
    folder.log.unlink()
    folder.plots.rmdir()
    folder.checksums.unlink()  # its lines on measured files would stay
    write_checksums(folder)
    told = list(_told(folder))
    if told or _size(folder) > MAX_BYTES:
        sys.exit(f"{folder.path}: {_size(folder)} bytes, tells {told or 'nothing of this machine'}")
    return folder.path


def _told(folder: RunFolder) -> Iterator[str]:
    """Where a file names this machine or a place on it: nobody's business, and no part of a format."""
    words = {str(ROOT), str(Path.home()), f'"{platform.node()}"'}
    for path in folder.path.iterdir():
        content = path.read_bytes()
        yield from (f"{word} in {path.name}" for word in sorted(words) if word.encode() in content)


def _size(folder: RunFolder) -> int:
    return sum(path.stat().st_size for path in folder.path.iterdir())


if __name__ == "__main__":
    main()
