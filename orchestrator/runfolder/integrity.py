"""What was fixed before a run and what it measured stay as they were; or what was changed is named, and marked.

Three things speak for a folder: SHA256SUMS, whose lines on measured files are written once and kept from then on; the
hash and the claims of the scenario, which manifest and journal hold since the run began; and the rows that each block
reported. None of them stops somebody who changes all of them. They stop changes that would go unseen.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.errors import RunError
from orchestrator.runfolder.journal import read_begin
from orchestrator.runfolder.manifest import StatedClaim
from orchestrator.runfolder.safe_files import replace_text
from orchestrator.runfolder.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from orchestrator.runfolder.folder import RunFolder
    from orchestrator.runfolder.manifest import Manifest
    from orchestrator.runfolder.run import Run
    from orchestrator.runfolder.summary import ClaimVerdict
    from orchestrator.runfolder.tables import ByArm
    from orchestrator.scenario.experiment import Experiment

_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>[^/\\\x00-\x1f\x7f][^\\\x00-\x1f\x7f]*)")
_DERIVED = ("summary.json", "report.html", "plots/")  #: the analysis makes them again at any time
_SHOWN = 12  #: digits of a hash in a message


def scenario_hash(text: str) -> str:
    """The sha256 of a resolved scenario: that of the scenario.yaml that holds `text`."""
    return hashlib.sha256(text.encode()).hexdigest()


def stated_claims(experiment: Experiment) -> tuple[StatedClaim, ...]:
    """The claims of `experiment` as the manifest keeps them; those across arms have no arm."""
    of_arms = [(arm.name, claim) for arm in experiment.arms for claim in arm.scenario.claims]
    every = [*of_arms, *((None, claim) for claim in experiment.claims)]
    return tuple(StatedClaim(arm, claim.id, claim.text, claim.expect.text) for arm, claim in every)


def write_checksums(folder: RunFolder) -> None:
    """Write SHA256SUMS over every file of the folder, in the format of sha256sum(1).

    What it said of a measured file stays, also where that has changed since or is gone.
    """
    known = {name: digest for name, digest in _recorded(folder) if not name.startswith(_DERIVED)}
    if not folder.raw.exists():
        known = {name: digest for name, digest in known.items() if not name.startswith("raw/")}
    for path in folder.path.rglob("*"):
        name = str(path.relative_to(folder.path))
        if (
            name not in known
            and path.is_file()
            and path != folder.checksums
            and _LINE.fullmatch(f"{'0' * 64}  {name}")
        ):
            known[name] = _digest(path)
    replace_text(folder.checksums, "".join(f"{known[name]}  {name}\n" for name in sorted(known)))


def changed_files(run: Run) -> list[str]:
    """What differs from what was fixed before the run and from SHA256SUMS, of all that was measured, in words."""
    fixed = run.manifest.scenario_sha256
    return [*_changed_scenario(run), *_changed_sums(run.folder, scenario_is_fixed=fixed is not None)]


def changed_rows(run: Run) -> list[str]:
    """Where a table has other rows than the blocks in the manifest reported, in words."""
    blocks = run.manifest.blocks
    if not blocks:
        return []
    wanted: dict[str, Counter[tuple[object, ...]]] = {name: Counter() for name in ("samples", "hedges", "server")}
    for block in blocks:
        key = (block.arm, block.strategy, block.block)
        wanted["samples"][key] += _rows(block.client)
        for replica, server in enumerate(block.servers):
            wanted["server"][*key, replica] += _rows(server)
        if block.hedges is not None:
            wanted["hedges"][key] += block.hedges
    found = {
        "samples": _counted(run.tables.samples),
        "hedges": _counted(run.tables.hedges),
        "server": _counted(run.tables.server, "replica"),
    }
    if all(block.hedges is None for block in blocks):
        wanted["hedges"] = found["hedges"]  # earlier versions did not record them
    return [
        f"{table}.parquet has {found[table][key]} rows of {_block_name(key)}, which reported {wanted[table][key]}"
        for table in wanted
        for key in sorted({*wanted[table], *found[table]}, key=str)
        if found[table][key] != wanted[table][key]
    ]


def accepted_before(folder: RunFolder) -> tuple[str, ...]:
    """The changes that the folder's summary is marked with already; none where there is no summary to be read."""
    try:
        return Summary.read(folder.summary).accepted_changes if folder.summary.exists() else ()
    except RunError:
        return ()


def refuse_changes(folder: RunFolder, changes: Sequence[str]) -> None:
    """RunError where there are any `changes`."""
    if changes:
        raise RunError(
            f"{folder.name} is not as it was measured:\n" + "\n".join(f"  {change}" for change in changes),
            "restore the files; or analyze --accept-changes, which every report on the run will then say",
        )


def marked(summary: Summary, manifest: Manifest, accepted: Sequence[str]) -> Summary:
    """`summary` with the changes that were accepted, and with a mark at each claim not stated before the run."""
    stated = None if manifest.claims is None else {*manifest.claims}

    def mark(arm: str | None, claims: Sequence[ClaimVerdict]) -> tuple[ClaimVerdict, ...]:
        return tuple(
            replace(
                claim,
                stated_after_run=stated is not None
                and StatedClaim(arm, claim.id, claim.text, claim.expect) not in stated,
            )
            for claim in claims
        )

    return replace(
        summary,
        accepted_changes=tuple(dict.fromkeys(accepted)),
        arms=tuple(replace(arm, claims=mark(arm.name, arm.claims)) for arm in summary.arms),
        claims_across_arms=mark(None, summary.claims_across_arms),
    )


def _changed_scenario(run: Run) -> Iterator[str]:
    """Nothing is said of runs of versions that fixed nothing."""
    manifest, fixed = run.manifest, run.manifest.scenario_sha256
    if fixed is None:
        return
    begun = read_begin(run.folder.journal)
    if begun is None or begun.scenario_sha256 != fixed:
        yield "manifest.json and the first line of journal.jsonl have different hashes of the scenario"
    now = _digest(run.folder.scenario) if run.folder.scenario.exists() else ""
    if now != fixed:
        yield f"scenario.yaml is not the one that was fixed before the run: {_now(fixed, now)}"
    stated, still = manifest.claims or (), {(claim.arm, claim.id) for claim in stated_claims(run.experiment)}
    for claim in stated:
        if (claim.arm, claim.id) not in still:
            yield f"claim {claim.id}{f' of {claim.arm}' if claim.arm else ''} was taken away after the run"


def _changed_sums(folder: RunFolder, scenario_is_fixed: bool) -> Iterator[str]:
    if not folder.checksums.exists():
        if scenario_is_fixed and folder.summary.exists():
            yield "SHA256SUMS is missing"
        return
    recorded = list(_recorded(folder))
    if scenario_is_fixed and folder.summary.exists():  # every measured file was named before there was a summary
        measured = (folder.samples, folder.hedges, folder.server, folder.manifest, folder.journal)
        named = {name for name, _ in recorded}
        yield from (f"SHA256SUMS does not name {path.name}" for path in measured if path.name not in named)
    for name, digest in recorded:
        path = folder.path / name
        skipped = name.startswith(_DERIVED) or (name == folder.scenario.name and scenario_is_fixed)
        if skipped or (name.startswith("raw/") and not folder.raw.exists()):
            continue
        now = _digest(path) if path.is_file() else ""
        if now != digest:
            yield f"{name} is not what SHA256SUMS says: {_now(digest, now)}"


def _now(was: str, now: str) -> str:
    return f"sha256 {was[:_SHOWN]} then, {now[:_SHOWN]} now" if now else "it is missing"


def _recorded(folder: RunFolder) -> Iterator[tuple[str, str]]:
    """Name and digest of each file that SHA256SUMS names; RunError where a line is none of its format."""
    if not folder.checksums.exists():
        return
    text = folder.checksums.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        match = _LINE.fullmatch(line)
        if match is None or ".." in match["name"].split("/"):
            raise RunError(
                f"{folder.checksums}:{number}: is not a line of sha256sum about a file of this folder",
                "restore the file",
            )
        yield match["name"], match["digest"]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rows(report: dict[str, object]) -> int:
    rows = report.get("rows", 0)
    return rows if isinstance(rows, int) else 0


def _counted(table: ByArm, *further: str) -> Counter[tuple[object, ...]]:
    """How many rows there are of each arm, strategy and block, and of what else is in the columns `further`."""
    counts: Counter[tuple[object, ...]] = Counter()
    for arm, strategies in table.items():
        for strategy, columns in strategies.items():
            keys = zip(*(columns[name].tolist() for name in ("block", *further)), strict=True)
            for key, count in Counter(keys).items():
                counts[arm, strategy, *key] += count
    return counts


def _block_name(key: tuple[object, ...]) -> str:
    arm, strategy, block, *replica = key
    words = f"{f'{arm}, ' if arm is not None else ''}{strategy}, block {block}"
    return f"{words} at server-{replica[0]}" if replica else words
