"""The number of each file's format in a run folder: the one place that says them, and refuses what came later.

A number grows only where a file can no longer be read as before: where a key or column goes, or comes to mean
something else. New keys and columns leave it as it is. A file without a number is of a version that wrote none, and
is read as the first format. docs/run-folder.md describes the formats and repeats the promise.

The number of manifest.json is also that of the binary rows in raw/, which have no place for one; scenario.yaml has
its own, `version`, which belongs to the scenario format.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchestrator.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.runfolder.codec import JsonObject

#: By file name: the format that this version writes, and the latest that it reads.
FORMAT_VERSIONS: Mapping[str, int] = {
    "manifest.json": 1,
    "journal.jsonl": 1,
    "samples.parquet": 1,
    "hedges.parquet": 1,
    "server.parquet": 1,
    "summary.json": 3,
}


def check_version(path: Path, found: object) -> None:
    """RunError where the file at `path` has the number `found`, and that format came later than this version.

    None stands for a file without a number.
    """
    if found is None:
        return
    if not isinstance(found, int):
        raise RunError(f"{path} has schema {found!r}, which is not a whole number", "was the file edited?")
    known = FORMAT_VERSIONS[path.name]
    if found > known:
        raise RunError(
            f"{path} has schema {found}, this version reads {known} and before",
            "use a newer Hedgerow: the one that made the run, or any later one",
        )


def read_json(path: Path, remedy: str) -> JsonObject:
    """The object in the JSON file at `path`.

    Raises RunError where it cannot be read, for which `remedy` is good, and where its format came later.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}", remedy) from error
    except RecursionError as error:
        raise RunError(f"{path} cannot be read: it is nested too deeply", remedy) from error
    if not isinstance(content, dict):
        raise RunError(f"{path} does not hold an object", remedy)
    check_version(path, content.get("schema"))
    return content
