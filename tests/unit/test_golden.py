"""Run folders of this version and of all before it give the figures that they gave when they were made.

Otherwise figures would change that somebody has published. Of what was measured nothing ever changes. Where a
better procedure gives other intervals or verdicts, the number of summary.json grows, docs/format-history.md says what
changed and why, and what the new version makes of an old folder stands beside it, in summaries-NUMBER/.
tests/golden/make.py adds the folders of a new version; none is ever taken away.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import shutil
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from orchestrator.cli import run
from orchestrator.report.gain import gain_and_cost
from orchestrator.report.plots import PLOTS, file_endings
from orchestrator.runfolder.folder import RUN_NAME, RunFolder
from orchestrator.runfolder.format_versions import FORMAT_VERSIONS
from orchestrator.runfolder.summary import Summary
from support.run_folder_factory import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("golden")  # they share what was drawn or made once a session

GOLDEN = ROOT / "tests" / "golden"
FOLDERS = sorted(path for path in GOLDEN.glob("*/*") if RUN_NAME.fullmatch(path.name))
#: What the first version left; later ones may leave more.
NAMES = {
    *("manifest.json", "scenario.yaml", "samples.parquet", "hedges.parquet", "server.parquet"),
    *("journal.jsonl", "summary.json", "SHA256SUMS"),
}
MEASURED = (0, 1, 3)


NUMBER = FORMAT_VERSIONS["summary.json"]
#: What is concluded from what was measured.
CONCLUDED = {
    *("schema", "verdict", "observed", "unit", "reason", "requests_needed", "null"),
    *("p_value", "p_adjusted", "p_assumes", "p_method", "p_floor", "proves"),
    *("ci95", "ci95_ms", "lateness_ci95_us", "ratio_ci95", "difference_ci95_ms"),
}


@dataclass(frozen=True)
class Analysed:
    """A copy of a golden folder, analysed by this version: `printed` is what `analyze --json` said."""

    golden: RunFolder
    folder: RunFolder
    printed: str

    @property
    def expected_text(self) -> str:
        """What this version makes of it, as it writes it."""
        beside = self.golden.path.parent / f"summaries-{NUMBER}" / f"{self.golden.name}.json"
        return (self.golden.summary if self.stored["schema"] == NUMBER else beside).read_text()

    @property
    def expected(self) -> dict[str, Any]:
        """The same, decoded."""
        content: dict[str, Any] = json.loads(self.expected_text)
        return content

    @property
    def stored(self) -> dict[str, Any]:
        """What its summary.json said when it was made."""
        content: dict[str, Any] = json.loads(self.golden.summary.read_text())
        return content


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda path: path.name)
def analysed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Analysed:
    golden: Path = request.param
    copy = Path(shutil.copytree(golden, tmp_path_factory.mktemp("results") / golden.name))
    code, printed = orchestrator("analyze", str(copy), "--json")
    assert code in MEASURED, printed
    return Analysed(RunFolder(golden), RunFolder(copy), printed)


def orchestrator(*arguments: str) -> tuple[int, str]:
    """Exit code and stdout of a command."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        code = run([*arguments])
    return code, output.getvalue()


def departures(stored: Any, now: Any, key: str = "") -> Iterator[str]:
    """Where `now` says otherwise than `stored`; what it says beside that is no departure."""
    if isinstance(stored, dict) and isinstance(now, dict):
        for name, value in stored.items():
            yield from departures(value, now.get(name, "nothing"), f"{key}.{name}")
    elif isinstance(stored, list) and isinstance(now, list) and len(stored) == len(now):
        for index, (was, is_) in enumerate(zip(stored, now, strict=True)):
            yield from departures(was, is_, f"{key}[{index}]")
    elif stored != now:
        yield f"{key}: {stored} became {now}"


def contents(folder: RunFolder) -> dict[str, bytes]:
    """Every file by its path in the folder."""
    return {
        str(path.relative_to(folder.path)): path.read_bytes() for path in folder.path.rglob("*") if path.is_file()
    }


def test_there_is_a_golden_folder_of_each_scenario() -> None:
    wanted = {path.stem for path in GOLDEN.glob("*.yaml")}
    assert {match["scenario"] for path in FOLDERS if (match := RUN_NAME.fullmatch(path.name))} >= wanted


def test_departures_are_found_and_additions_are_none() -> None:
    stored = {"a": 1, "b": [{"c": None}]}
    assert list(departures(stored, {"a": 1, "b": [{"c": None, "d": 2}], "e": 3})) == []
    assert list(departures(stored, {"b": [{"c": 0}]})) == [".a: 1 became nothing", ".b[0].c: None became 0"]
    assert list(departures(stored, {"a": 1, "b": []})) == [".b: [{'c': None}] became []"]


def measured(summary: Any) -> Any:
    """What a summary has that no procedure can change: counts and figures, but neither intervals nor verdicts."""
    if isinstance(summary, dict):
        return {name: measured(value) for name, value in summary.items() if name not in CONCLUDED}
    return [measured(value) for value in summary] if isinstance(summary, list) else summary


def test_every_figure_is_what_it_was(analysed: Analysed) -> None:
    assert list(departures(analysed.expected, json.loads(analysed.printed))) == []  # names what differs
    assert analysed.printed == analysed.expected_text  # and nothing is added, left out, ordered or written otherwise
    assert analysed.folder.summary.read_text() == analysed.printed


def test_what_was_measured_is_what_it_was_when_it_was_made(analysed: Analysed) -> None:
    assert list(departures(measured(analysed.stored), measured(json.loads(analysed.printed)))) == []


def test_a_summary_of_each_number_is_read(analysed: Analysed) -> None:
    """Those of the numbers between, too, which stand beside the folders."""
    beside = analysed.golden.path.parent.glob(f"summaries-*/{analysed.golden.name}.json")
    contents = [analysed.stored, *(json.loads(path.read_text()) for path in beside)]
    numbers = [content.get("schema", 1) for content in contents]
    assert sorted(numbers) == [*range(min(numbers), NUMBER + 1)]
    for content in contents:
        claims = [claim.id for _, claim in Summary.from_json(content).claims()]
        assert len(claims) == len(set(claims)) > 0


def test_every_plot_is_drawn(analysed: Analysed) -> None:
    stored = analysed.stored
    arms = [arm["name"] for arm in stored.get("arms", [])] or [None]
    wanted = {f"{plot.name}{ending}" for ending in file_endings(arms).values() for plot in PLOTS if plot.per_arm}
    wanted |= {plot.name for plot in PLOTS if not plot.per_arm} - ({"sweep"} if "matrix" not in stored else set())
    for kind in (".svg", ".png"):
        drawn = {path.stem for path in analysed.folder.plots.glob(f"*{kind}") if path.stat().st_size > 1_000}
        assert drawn >= wanted


def test_its_page_shows_every_claim_and_picture(analysed: Analysed) -> None:
    page, stored = analysed.folder.report.read_text(), analysed.stored
    claims = [claim for part in (stored, *stored.get("arms", [])) for claim in part["claims"]]
    assert claims
    gains = map(escape, gain_and_cost(Summary.read(analysed.folder.summary)))
    for words in (analysed.folder.name, *gains, *(claim["id"] for claim in claims)):
        assert words in page
    assert page.count("<svg") >= len(list(analysed.folder.plots.glob("*.svg")))


def test_show_and_ls_list_it_as_any_other(analysed: Analysed) -> None:
    results, verdict = str(analysed.folder.path.parent), analysed.expected["verdict"]
    assert orchestrator("show", "last", "--results", results, "--json") == (0, analysed.printed)
    code, text = orchestrator("show", "last", "--results", results)
    assert (code, f"Verdict: {verdict}" in text) == (0, True)
    code, listed = orchestrator("ls", "--results", results, "--json")
    entry = {"run": analysed.folder.name, "verdict": verdict}
    assert (code, entry.items() <= json.loads(listed)["runs"][0].items()) == (0, True)


def test_before_it_is_analysed_show_prints_it_too(analysed: Analysed) -> None:
    code, text = orchestrator("show", str(analysed.golden.path))
    assert (code, f"Verdict: {analysed.stored['verdict']}" in text) == (0, True)


def test_it_can_be_compared_with_what_is_made_of_it_now(analysed: Analysed) -> None:
    results = str(analysed.folder.path.parent.parent / "compared")
    code, text = orchestrator(
        "compare", str(analysed.golden.path), str(analysed.folder.path), "--results", results, "--json"
    )
    assert code == 0
    assert Path(json.loads(text)["report"]).stat().st_size > 1_000


def test_analysed_again_every_file_is_the_same_to_the_byte(analysed: Analysed) -> None:
    before = contents(analysed.folder)
    assert orchestrator("analyze", str(analysed.folder.path), "--json")[1] == analysed.printed
    assert contents(analysed.folder) == before


def test_a_claim_that_no_new_run_could_make_is_read_of_one_that_is_over(tmp_path: Path) -> None:
    golden = next(path for path in FOLDERS if path.name.startswith("closed-"))
    folder = RunFolder(Path(shutil.copytree(golden, tmp_path / golden.name)))
    scenario = yaml.safe_load(folder.scenario.read_text())
    del scenario["hedging"]["copy_id"]
    scenario["claims"] = [{"id": "won", "expect": "win_rate(kernel) >= 90%"}]
    folder.scenario.write_text(yaml.safe_dump(scenario))
    with contextlib.redirect_stderr(io.StringIO()):
        assert run(["validate", str(folder.scenario)]) == 2
    assert orchestrator("analyze", str(folder.path), "--accept-changes")[0] in MEASURED
    assert "win_rate(kernel)" in folder.report.read_text()


def test_golden_folders_are_whole(analysed: Analysed) -> None:
    sums = dict(line.split("  ")[::-1] for line in analysed.golden.checksums.read_text().splitlines())
    files = contents(analysed.golden)
    assert set(files) >= NAMES
    assert {name: hashlib.sha256(files[name]).hexdigest() for name in set(files) - {"SHA256SUMS"}} == sums


def test_golden_folders_are_small_and_name_no_place_on_their_machine(analysed: Analysed) -> None:
    files = contents(analysed.golden)
    assert sum(map(len, files.values())) < 150_000
    for name, content in files.items():
        assert not re.search(rb"/(home|root|tmp|work|srv|mnt|Users)/", content), name
