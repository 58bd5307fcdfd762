"""What the last line of `make test` counts: the sum over the layers' logs, and no failure where there is none."""

import subprocess
from pathlib import Path

COUNT = Path(__file__).parents[2] / ".ci" / "count"


def counted(folder: Path, *last_lines: str) -> str:
    logs = []
    for number, line in enumerate(last_lines):
        log = folder / f"{number}.log"
        log.write_text(f"tests/x.py ....F [100%]\n{line}\nhedgerow: tests of x: exit code 0, 6 min 37 s\n")
        logs.append(log)
    return subprocess.run([COUNT, *logs], check=True, capture_output=True, text=True).stdout


def test_layers_that_all_pass_are_counted_and_the_count_succeeds(tmp_path: Path) -> None:
    lines = "==== 38 passed in 397.27s (0:06:37) ====", "2744 passed in 195.00s (0:03:15)"
    assert counted(tmp_path, *lines) == "2782 passed, 0 failed, 0 skipped\n"


def test_failures_errors_and_skips_are_summed(tmp_path: Path) -> None:
    lines = "== 1 failed, 2 passed, 3 skipped, 1 error in 1.27s ==", "== 4 passed, 2 warnings, 5 errors in 2.00s =="
    assert counted(tmp_path, *lines) == "6 passed, 7 failed, 3 skipped\n"


def test_a_layer_without_a_passed_test_still_counts(tmp_path: Path) -> None:
    assert counted(tmp_path, "=== 2 failed in 0.05s ===", "=== 1 skipped in 0.01s ===") == (
        "0 passed, 2 failed, 1 skipped\n"
    )
