"""The manifest is written and read by one type: what any version wrote comes back to the byte."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import RunError
from orchestrator.runfolder.manifest import BlockEntry, Manifest, ManifestFile
from support.run_folder_factory import ROOT

if TYPE_CHECKING:
    from pathlib import Path

GOLDEN = sorted((ROOT / "tests" / "golden").glob("*/*/manifest.json"))


def entry(strategy: str, arm: str | None = None) -> BlockEntry:
    """A block that was run."""
    return BlockEntry(
        order=0, arm=arm, strategy=strategy, block=0, serial=0, attempt=1, start_ns=1, client={}, servers=()
    )


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_what_any_version_wrote_is_written_again_to_the_byte(path: Path) -> None:
    assert Manifest.read(path).as_text() == path.read_text()


def test_figures_have_names_and_units() -> None:
    manifest = Manifest.read(GOLDEN[0])
    assert manifest.noise is not None
    assert 0 < manifest.noise.lateness_us.p50 < manifest.noise.lateness_us.max
    assert manifest.environment.differences is not None
    assert manifest.environment.differences.duration_s > 1
    assert manifest.environment.before is not None
    assert manifest.environment.before.interface.name == "eth0"
    assert [block.serial for block in manifest.blocks] == list(range(len(manifest.blocks)))


def test_a_run_that_was_killed_early_has_said_little(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text('{"backend": "netns"}')
    manifest = Manifest.read(path)
    assert (manifest.backend, manifest.noise, manifest.environment.before, manifest.blocks) == (
        "netns",
        None,
        None,
        (),
    )


def test_the_first_probes_had_no_mean(tmp_path: Path) -> None:
    stored = json.loads(GOLDEN[0].read_text())
    del stored["noise"]["lateness_us"]["mean"]
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(stored))
    noise = Manifest.read(path).noise
    assert noise is not None
    assert noise.lateness_us.mean is None


def test_engines_and_delay_lines_name_each_that_there_was() -> None:
    manifest = Manifest().with_engine("a", "queue", "htb").with_engine("b", "clone", "netem")
    manifest = manifest.with_engine("a", "clone", "htb").with_engine("a", "queue", "htb")
    assert (manifest.engine, manifest.delay_line) == ("clone+queue", "htb+netem")
    assert [(arm.name, arm.engine, arm.delay_line) for arm in manifest.arms] == [
        ("a", "clone+queue", "htb"),
        ("b", "clone", "netem"),
    ]
    alone = Manifest().with_engine(None, "clone", "htb")
    assert (alone.engine, alone.delay_line, alone.arms) == ("clone", "htb", ())


def test_the_engine_of_a_strategy_is_that_of_its_blocks() -> None:
    manifest = Manifest()
    for strategy, arm, engine in (("kernel", None, "queue"), ("kernel", "a", "clone"), ("kernel", "a", "queue")):
        manifest = manifest.with_block(replace(entry(strategy, arm), engine=engine, delay_line="htb"), {})
    assert manifest.engine_of(None, "kernel") == ("queue", "htb")
    assert manifest.engine_of("a", "kernel") == ("clone+queue", "htb")
    assert Manifest().with_block(entry("kernel"), {}).engine_of(None, "kernel") == (None, None)


def test_counters_are_added_up_by_strategy_and_arm() -> None:
    manifest = Manifest().with_block(entry("kernel"), {"a": 1, "b": 2}).with_block(entry("kernel"), {"a": 3})
    manifest = manifest.with_block(entry("kernel", "late"), {"a": 5})
    assert manifest.counters == {"kernel": {"a": 4, "b": 2}, "kernel@late": {"a": 5}}
    assert len(manifest.blocks) == 3


def test_the_file_is_written_when_the_run_begins_and_left_whole(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    file = ManifestFile(path, Manifest(run="x"))
    assert Manifest.read(path) == Manifest(run="x") == file.content
    assert list(tmp_path.iterdir()) == [path]


def test_a_broken_manifest_is_named_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text('{"blocks": [{"order": 0}]}')
    with pytest.raises(RunError, match=r"manifest\.json cannot be read: blocks\[0\] has no arm") as refusal:
        Manifest.read(path)
    assert refusal.value.remedy == "is this the folder of a run?"
