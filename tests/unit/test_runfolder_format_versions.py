"""Formats have numbers: every file of a run carries its own, and one of a later version is refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestrator.errors import RunError
from orchestrator.runfolder.folder import RunFolder
from orchestrator.runfolder.format_versions import FORMAT_VERSIONS, read_json
from orchestrator.runfolder.journal import undos
from support.run_folder_factory import finished_run, make_tables, raw_run, scenario_from, summarised

SMOKE = scenario_from("smoke")
TABLES = ("samples.parquet", "hedges.parquet", "server.parquet")
DOCUMENTS = ("manifest.json", "summary.json")


def renumber_table(path: Path, number: str | None) -> None:
    """Gives a table another number, or none."""
    metadata = {} if number is None else {b"hedgerow.schema": number}
    pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)


def renumber_document(path: Path, number: object) -> None:
    """Gives a JSON file another number, or none."""
    content = {key: value for key, value in json.loads(path.read_text()).items() if key != "schema"}
    path.write_text(json.dumps(content if number is None else {"schema": number, **content}))


def renumber_journal(path: Path, number: object) -> None:
    """Gives a journal another number, or takes the record that tells it away."""
    begin, *others = path.read_text().splitlines(keepends=True)
    lines = others if number is None else [json.dumps({**json.loads(begin), "schema": number}) + "\n", *others]
    path.write_text("".join(lines))


def renumber(path: Path, number: object) -> None:
    """Gives a file of a run folder another number, or none."""
    if path.suffix == ".parquet":
        renumber_table(path, None if number is None else str(number))
    elif path.suffix == ".jsonl":
        renumber_journal(path, number)
    else:
        renumber_document(path, number)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished smoke run."""
    folder = finished_run(tmp_path_factory.mktemp("results"), SMOKE)
    renumber(folder.manifest, FORMAT_VERSIONS[folder.manifest.name])
    return folder


@pytest.fixture
def copy(finished: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of it to change."""
    return RunFolder(Path(shutil.copytree(finished.path, tmp_path / finished.name)))


def number_of(path: Path) -> object:
    """The number that a file carries."""
    if path.suffix == ".parquet":
        return int(pq.read_schema(path).metadata[b"hedgerow.schema"])
    first, *_ = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    return json.loads(first)["schema"]


def test_every_file_that_programs_read_has_its_number(finished: RunFolder) -> None:
    assert {name: number_of(finished.path / name) for name in FORMAT_VERSIONS} == dict(FORMAT_VERSIONS)
    others = {path.name for path in finished.path.iterdir() if path.is_file()} - set(FORMAT_VERSIONS)
    assert others == {"scenario.yaml"}, "which has its version"


def test_a_journal_begins_with_its_number_and_says_it_once(finished: RunFolder) -> None:
    records = [json.loads(line) for line in finished.journal.read_text().splitlines()]
    assert [record["event"] for record in records if "schema" in record] == ["begin"]
    assert records[0]["event"] == "begin"


@pytest.mark.parametrize("name", [*TABLES, "manifest.json", "journal.jsonl"])
def test_a_later_format_is_refused_by_file_and_number(copy: RunFolder, name: str) -> None:
    known = FORMAT_VERSIONS[name]
    renumber(copy.path / name, known + 1)
    with pytest.raises(RunError) as refusal:
        summarised(copy)
    assert (
        refusal.value.message == f"{copy.path / name} has schema {known + 1}, this version reads {known} and before"
    )
    assert refusal.value.remedy == "use a newer Hedgerow: the one that made the run, or any later one"


@pytest.mark.parametrize("name", [*TABLES, "manifest.json", "journal.jsonl"])
def test_a_file_of_before_there_were_numbers_is_read_as_ever(copy: RunFolder, name: str) -> None:
    before = summarised(copy)
    renumber(copy.path / name, None)
    assert summarised(copy) == before


@pytest.mark.parametrize("name", [*TABLES, "manifest.json", "journal.jsonl"])
def test_a_number_that_is_none_is_refused(copy: RunFolder, name: str) -> None:
    renumber(copy.path / name, "one")
    with pytest.raises(RunError, match=f"{name} has schema 'one', which is not a whole number"):
        summarised(copy)


def test_a_later_summary_is_refused_where_one_is_read(copy: RunFolder) -> None:
    assert read_json(copy.summary, "make it anew")["run"] == copy.name
    later = FORMAT_VERSIONS["summary.json"] + 1
    renumber(copy.summary, later)
    with pytest.raises(RunError, match=rf"summary\.json has schema {later}"):
        read_json(copy.summary, "make it anew")


@pytest.mark.parametrize(("text", "message"), [("{", "cannot be read"), ("[]", "does not hold an object")])
def test_a_document_that_is_none_is_refused_with_the_remedy(copy: RunFolder, text: str, message: str) -> None:
    copy.summary.write_text(text)
    with pytest.raises(RunError, match=message) as refusal:
        read_json(copy.summary, "make it anew")
    assert refusal.value.remedy == "make it anew"


def test_raw_rows_of_a_later_version_are_kept_untouched(tmp_path: Path) -> None:
    folder = raw_run(tmp_path, SMOKE)
    renumber(folder.manifest, FORMAT_VERSIONS["manifest.json"] + 1)
    with pytest.raises(RunError, match=r"manifest\.json has schema 2"):
        make_tables(folder, SMOKE)
    assert folder.raw.exists()
    assert not folder.samples.exists()


def test_nothing_is_undone_by_a_journal_of_a_later_format(copy: RunFolder) -> None:
    renumber(copy.journal, FORMAT_VERSIONS["journal.jsonl"] + 1)
    with pytest.raises(RunError, match=r"journal\.jsonl has schema 2"):
        undos(copy.journal)
