"""The content of every report on a run: tables of plain text, and notes. Exporters only lay it out.

The tables of an arm come in two widths: a short one for terminals of 80 columns, and a full one for the page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from orchestrator.claims.functions import FUNCTIONS
from orchestrator.plan.sample_size import samples_needed
from orchestrator.report.formatting import (
    BEYOND,
    NONE,
    STATED_AFTER,
    Weak,
    format_blocks,
    format_difference,
    format_engines,
    format_figure,
    format_interval,
    format_latency,
    format_micros,
    format_number,
    format_observed,
    format_p_value,
    format_percent,
    format_verdict,
    in_arm,
    of_arm,
)
from orchestrator.report.gain import gain_and_cost
from orchestrator.report.threats import closed_arrivals, warnings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from orchestrator.runfolder.summary import (
        ArmSummary,
        ClaimVerdict,
        FaultSummary,
        Quantiles,
        StrategySummary,
        Summary,
    )

_LATENCIES, _MORE_LATENCIES = ("p50", "p95", "p99", "max"), ("p50", "p95", "p99", "p999", "max")
_CLAIM = ("claim", "verdict", "observed (95 % interval)", "expected")
_FAULT = ("fault", "target", "occurrences", "proven", "requests during")


@dataclass(frozen=True)
class Row:
    """One row of a table. `kind` sets it off where its figures are not measured by the strategies of this run."""

    cells: Sequence[str]
    kind: Literal["", "published", "control"] = ""


@dataclass(frozen=True)
class Section:
    """One table; its first `left` columns are text and aligned left, the others numbers. Without rows: a title."""

    title: str
    header: Sequence[str]
    rows: Sequence[Row]
    left: int = 1


def without_empty_columns(section: Section) -> Section:
    """`section` without its columns of figures of which no row has any, as in runs of versions that lacked them."""
    kept = [
        index
        for index in range(len(section.header))
        if index < section.left or any(row.cells[index] not in ("", NONE) for row in section.rows)
    ]
    rows = [replace(row, cells=[row.cells[index] for index in kept]) for row in section.rows]
    return replace(section, header=[section.header[index] for index in kept], rows=rows)


@dataclass(frozen=True)
class View:
    """A report: the `lead`, which is to be seen first, the tables in reading order, and the lines below them."""

    sections: Sequence[Section]
    notes: Sequence[str] = ()
    lead: Sequence[str] = ()

    @property
    def has_weak(self) -> bool:
        """Whether there is a figure that its sample does not carry."""
        return any(isinstance(cell, Weak) for section in self.sections for row in section.rows for cell in row.cells)


def view(summary: Summary) -> View:
    """The tables of each arm; those of a sweep's arms in one. None is empty."""
    sections = [section for section in _sections(summary) if section.rows]
    return View(sections, [*_reasons(summary), *notes(summary), *_verdict(summary)], gain_and_cost(summary))


def overview(summary: Summary) -> View:
    """A table of all claims and a table of all latencies, with a column for the arm where there are arms."""
    claims = claim_table("", summary.claims(), arms=summary.has_arms, remarks=True)
    latencies = latency_table(summary.arms[0])
    names, left = latencies.header, 1
    rows = [row for arm in summary.arms for row in _with_arm(arm, latency_table(arm).rows) if row.kind != "published"]
    if summary.has_arms:
        names, left = ("arm", *names), 2
    sections = [claims, Section("Latency in ms, from the intended time of sending:", names, rows, left)]
    return View([section for section in sections if section.rows], notes(summary), gain_and_cost(summary))


def headline(summary: Summary) -> str:
    """The verdicts in a sentence, which names the claims that are not supported."""
    claims = list(summary.claims())
    if not claims:
        return "This scenario claims nothing."
    late = [f"{claim.id} in {arm}" if arm else claim.id for arm, claim in claims if claim.stated_after_run]
    sentences = [f"{len(late)} of {len(claims)} {STATED_AFTER}: {', '.join(late)}."] if late else []
    if summary.verdict == "supported":
        every = "The only claim is supported." if len(claims) == 1 else f"All {len(claims)} claims are supported."
        return " ".join([every, *sentences])
    for verdict, word in (("refuted", "refuted"), ("inconclusive", "undecided")):
        names = [f"{claim.id} in {arm}" if arm else claim.id for arm, claim in claims if claim.verdict == verdict]
        if names:
            sentences.append(f"{len(names)} of {len(claims)} {word}: {', '.join(names)}.")
    return " ".join(sentences)


def notes(summary: Summary) -> list[str]:
    """The lines below the tables: warnings, and what the run was measured with."""
    measured = f"backend {summary.backend or 'unknown'}, {format_engines(summary, 'unknown')}"
    return [
        *(f"changed after it was measured: {change}" for change in summary.accepted_changes),
        *warnings(summary),
        f"{summary.run}: {measured}; {format_blocks(summary.blocks)} of each strategy",
        *closed_arrivals(summary),
    ]


def _reasons(summary: Summary) -> Iterator[str]:
    """Why claims could not be decided."""
    return (f"{in_arm(arm, claim.id)}: {claim.reason}" for arm, claim in summary.claims() if claim.reason)


def _verdict(summary: Summary) -> list[str]:
    return [f"Verdict: {summary.verdict}"] if summary.verdict else []


def _sections(summary: Summary) -> Iterator[Section]:
    if summary.matrix:
        yield _sweep(summary)
        own = [(arm.name, claim) for arm in summary.arms for claim in arm.claims]
        yield claim_table("Claims in each arm", own, arms=True)
    else:
        for arm in summary.arms:
            yield latency_table(arm)
            yield hedge_table(arm)
            yield _wait_table(arm)
            yield claim_table(_title("claims", arm.name), [(arm.name, claim) for claim in arm.claims])
    yield claim_table("Claims across arms", [(None, claim) for claim in summary.claims_across_arms])
    yield _fault_table(summary)


def latency_table(arm: ArmSummary, full: bool = False) -> Section:
    """Our latencies, and below them the published ones where there are some."""
    names = _MORE_LATENCIES if full else _LATENCIES
    header = ["strategy", *map(format_figure, names), "P99, 95 % interval", *(["answered"] if full else [])]
    rows = []
    for strategy, figures in arm.strategies.items():
        ours = [_latency(figures, name) for name in names]
        answered = [f"{figures.answered} of {figures.requests}"] if full else []
        rows.append(Row([strategy, *ours, format_interval(figures.ci95_ms.get("p99")), *answered]))
        if figures.published_ms is not None:
            theirs = [format_number(figures.published_ms.get(name)) for name in names]
            rows.append(Row(["published", *theirs, "", *("" for _ in answered)], "published"))
    return Section(_latency_caption(arm) if full else _title("latency in ms", arm.name), header, rows)


def _latency(figures: StrategySummary, name: str) -> str:
    return _marked(format_latency(figures, name), name, figures.requests)


def _marked(text: str, name: str, size: int) -> str:
    """`text`, the figure `name` ("p99", "max") of `size` values, marked where these do not carry it."""
    quantile = FUNCTIONS[name].quantile
    return (
        text if text in (NONE, BEYOND) or (quantile is not None and size >= samples_needed(quantile)) else Weak(text)
    )


def _latency_caption(arm: ArmSummary) -> str:
    published = any(figures.published_ms is not None for figures in arm.strategies.values())
    return (
        f"Latency in ms, from the {'time' if arm.arrivals == 'closed' else 'intended time'} of sending"
        f"{'; published: figures of others, on another machine' if published else ''}"
    )


def hedge_table(arm: ArmSummary, full: bool = False) -> Section:
    """How many hedges there were, what they cost and how late they left; `full`: how many won, and were wasted."""
    header = ["strategy", "hedges", "extra sent", "extra load", "duplicates", "late P50", "late P99"]
    if full:
        header[2:4] = ["hedge rate", "won", "extra sent", "extra load", "wasted"]
    rows = [Row([strategy, *_hedges(figures, full)]) for strategy, figures in arm.strategies.items()]
    return Section(_title("hedges, and their lateness in µs", None if full else arm.name), header, rows)


def lateness_table(arm: ArmSummary) -> Section:
    """How late the hedges left, beside how late they left had their requests left when they were due."""
    names = ("p50", "p99", "max")
    rows = []
    for strategy, figures in arm.strategies.items():
        if figures.hedges:
            found_us = (figures.lateness_us, figures.lateness_from_intended_us)
            rows.append(Row([strategy, *(cell for found in found_us for cell in _latenesses(figures, found, names))]))
    header = ("strategy", *(f"{kind}{format_figure(name)}" for kind in ("", "intended ") for name in names))
    title = "Lateness of the hedges in µs: from the request's departure, and from its intended time"
    return Section(title, header, rows)


def _hedges(figures: StrategySummary, full: bool) -> list[str]:
    unknown = f" (+{figures.hedges_won_unknown} unknown)" if figures.hedges_won_unknown else ""
    return [
        str(figures.hedges),
        *([format_percent(figures.hedge_rate), f"{figures.hedges_won}{unknown}"] if full else []),
        format_percent(figures.extra_copies_sent),
        format_percent(figures.extra_load),
        *([format_percent(figures.wasted)] if full else []),
        str(figures.duplicates_delivered),
        *_latenesses(figures, figures.lateness_us),
    ]


def _latenesses(
    figures: StrategySummary, found_us: Quantiles, names: Sequence[str] = ("p50", "p99")
) -> Iterator[str]:
    return (_marked(format_micros(found_us.get(name)), name, figures.hedges) for name in names)


def _wait_table(arm: ArmSummary) -> Section:
    """How well the schedule of open arrivals was kept."""
    return Section(
        _title("lateness from the intended time, and time in the socket buffer, in µs", arm.name),
        ("strategy", "sent P50", "sent P99", "hedged P99", "buffered P50", "buffered P99"),
        [
            Row([strategy, *_waits(figures, figures.send_lateness_us)])
            for strategy, figures in arm.strategies.items()
            if figures.send_lateness_us
        ],
    )


def _waits(figures: StrategySummary, sent_us: Quantiles) -> Iterator[str]:
    buffered_us = {name: None if value is None else value * 1000 for name, value in figures.buffered_ms.items()}
    for found_us, size in ((sent_us, figures.requests), (buffered_us, figures.answered)):
        yield from (_marked(format_micros(found_us.get(name)), name, size) for name in ("p50", "p99"))
        if found_us is sent_us:
            yield from _latenesses(figures, figures.lateness_from_intended_us, ["p99"])


def comparison_table(arm: ArmSummary) -> Section:
    """The strategies of an arm against each other, and the A/A control."""
    rows = [
        Row(
            [
                *(row.strategy, row.reference, format_figure(row.figure)),
                *(format_difference(row, "ratio", 4), format_difference(row, "difference", 3)),
                *([""] if arm.control else []),
            ]
        )
        for row in arm.comparisons
    ]
    for name, row in (arm.control.figures if arm.control else {}).items():
        differences = [format_difference(row, "ratio", 4), format_difference(row, "difference", 3)]
        p_value = NONE if row.p_adjusted is None else format_p_value(row.p_adjusted)
        rows.append(Row(["baseline", "itself", format_figure(name), *differences, p_value], "control"))
    header = ("strategy", "against", "figure", "Ratio", "Difference, ms", *(["adjusted p"] if arm.control else []))
    return Section(f"Against each other, paired by round{_intervals_shown(arm)}", header, rows, left=3)


def _intervals_shown(arm: ArmSummary) -> str:
    """What the intervals in the table of comparisons promise: of many 95 % ones some will miss by chance."""
    control = arm.control
    together = control is not None and control.level_of_each is not None
    alone = [*arm.comparisons, *([] if control is None or together else control.figures.values())]
    count = sum(row.ratio_ci95 is not None for row in alone)
    words = f"95 % intervals each taken alone (not adjusted for there being {count})" if count else ""
    if control is not None and control.level_of_each is not None:
        each = f"{control.level_of_each * 100:.4g} %"
        words += (
            f"{'; those' if words else 'intervals'} of the baseline against itself hold in 95 % of runs all together "
            f"({control.intervals_together} figures of this run, each at {each})"
        )
    return f", with {words}" if words else ""


def claim_table(
    title: str, claims: Iterable[tuple[str | None, ClaimVerdict]], arms: bool = False, remarks: bool = False
) -> Section:
    """The `claims`, with a column for the arm that makes them (`arms`), and one for why they are undecided."""
    header = [*(["arm"] if arms else []), *_CLAIM, *(["remark"] if remarks else [])]
    rows = [
        Row(
            [
                *([arm or "across"] if arms else []),
                *(claim.id, format_verdict(claim), format_observed(claim), claim.expect),
                *([claim.reason] if remarks else []),
            ]
        )
        for arm, claim in claims
    ]
    return Section(title, header, rows, left=len(header))


def _sweep(summary: Summary) -> Section:
    """A row for each strategy at each swept value, which is written where its rows begin."""
    keys = list(summary.matrix)
    rows = []
    for arm in summary.arms:
        values = [str(arm.set[key]) for key in keys]
        for strategy, figures in arm.strategies.items():
            rows.append(Row([*values, strategy, *_swept(figures)]))
            values = [""] * len(keys)
    swept = (key.rpartition(".")[2] for key in keys)
    header = (*swept, "strategy", "P50", "P99", "95 % interval", "load", "late P99")
    title = f"Latency in ms, extra load, and lateness in µs, over {' and '.join(keys)}"
    return Section(title, header, rows, left=len(keys) + 1)


def _swept(figures: StrategySummary) -> list[str]:
    return [
        _latency(figures, "p50"),
        _latency(figures, "p99"),
        format_interval(figures.ci95_ms.get("p99")),
        format_percent(figures.extra_load),
        *_latenesses(figures, figures.lateness_us, ["p99"]),
    ]


def _fault_table(summary: Summary) -> Section:
    """How often each fault occurred at which node, and how many requests of a strategy were due during it."""
    by_arm = summary.has_arms and not summary.matrix
    found: dict[tuple[str, ...], list[FaultSummary]] = {}
    for fault in summary.faults:
        key = (*([fault.arm or ""] if by_arm else []), fault.fault, fault.target)
        found.setdefault(key, []).append(fault)
    rows = [
        Row([*key, str(sum(fault.occurrences for fault in faults)), str(sum(fault.proven for fault in faults)),
             _due(faults)])
        for key, faults in found.items()
    ]  # fmt: skip
    return Section("Faults", ("arm", *_FAULT) if by_arm else _FAULT, rows, left=3 if by_arm else 2)


def _due(faults: Sequence[FaultSummary]) -> str:
    """How many requests each strategy had due during the faults: one number where it is the same for all."""
    totals: dict[str, int] = {}
    for fault in faults:
        for strategy, requests in fault.requests.items():
            totals[strategy] = totals.get(strategy, 0) + requests
    low, high = min(totals.values(), default=0), max(totals.values(), default=0)
    return str(low) if low == high else f"{low} to {high}"


def _with_arm(arm: ArmSummary, rows: Iterable[Row]) -> Iterator[Row]:
    """`rows` with the name of the arm in front, where it has one."""
    return (row if arm.name is None else Row([arm.name, *row.cells], row.kind) for row in rows)


def _title(words: str, arm: str | None) -> str:
    return f"{words[0].upper()}{words[1:]}" if arm is None else of_arm(arm, words)
