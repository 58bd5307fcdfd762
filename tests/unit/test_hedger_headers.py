"""The stand-in for kernel headers: gone after each compilation, also that of a hedger that was killed in one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hedgerow_hedger import headers
from hedgerow_hedger.headers import stub_kernel_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMPILING = """
import sys, time
from hedgerow_hedger.headers import stub_kernel_tree
with stub_kernel_tree() as tree:
    print(tree, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(headers, "_NEWBORN_S", 0.0)


@pytest.fixture
def compiling() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process in the middle of it, and its tree."""
    with subprocess.Popen([sys.executable, "-c", _COMPILING], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_a_tree_lasts_as_long_as_its_maker(compiling: tuple[subprocess.Popen[str], Path], tmp_path: Path) -> None:
    process, tree = compiling
    with stub_kernel_tree() as other:
        assert tree != other
    assert list(tmp_path.iterdir()) == [tree]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert tree.is_dir()
    with stub_kernel_tree() as other:
        assert list(tmp_path.iterdir()) == [other]
    assert list(tmp_path.iterdir()) == []


def test_what_only_has_such_a_name_stays(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    (target / "deep").mkdir(parents=True)
    (tmp_path / "hedgerow-kernel-link").symlink_to(target)
    (tmp_path / "hedgerow-kernel-file").touch()
    with stub_kernel_tree():
        pass
    assert (target / "deep").is_dir()
    assert (tmp_path / "hedgerow-kernel-file").exists()
