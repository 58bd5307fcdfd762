"""Figures that the guests' tests leave for the host's: one file each, shown as a table and kept for developers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERIFIED, PER_RUN, LATENESS = "verified", "per-run", "lateness"  #: kinds of figures

Figures = dict[str, Any]  #: by what they are of


def leave(kind: str, subject: str, figures: Figures) -> None:
    """For the host, in the folder that the guest was given."""
    Path(os.environ["HEDGEROW_GUEST"], f"{kind}-{subject}.json").write_text(json.dumps(figures))


def left(folder: Path, kind: str) -> Figures:
    """All of a kind that a guest left there, by what they are of."""
    return {
        path.stem.removeprefix(f"{kind}-"): json.loads(path.read_text()) for path in folder.glob(f"{kind}-*.json")
    }


def table(by_kind: Mapping[str, Mapping[str, Figures]]) -> Iterator[str]:
    """Lines to read: a column for each kernel. `by_kind` has what `left` returns by kind and kernel series."""
    series = list(by_kind[VERIFIED])
    yield "".join([f"{'instructions':56}", *(f"{name:>22}" for name in series)])
    verified, per_run, late = (by_kind[kind] for kind in (VERIFIED, PER_RUN, LATENESS))
    for variant, programs in verified[series[0]].items():
        for program in programs:
            cells = [verified[name][variant][program] for name in series]
            texts = [f"{cell['processed']} / {cell['translated']}" for cell in cells]
            yield _row(f"{variant}: {program}, processed / translated", texts)
        for run in per_run[series[0]][variant]:
            yield _row(f"{variant}: {run}, in a run", [f"{per_run[name][variant][run]:.0f}" for name in series])
    for subject in late[series[0]]:
        cells = [late[name][subject] for name in series]
        texts = [f"{cell['p50']:.1f} / {cell['p99']:.1f} / {cell['max']:.1f}" for cell in cells]
        yield _row(f"{subject}: simulated µs late, P50 / P99 / most", texts)


def _row(title: str, cells: list[str]) -> str:
    return "".join([f"{title:56}", *(f"{cell:>22}" for cell in cells)])
