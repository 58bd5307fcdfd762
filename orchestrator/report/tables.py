"""The tables of a run's summary, as rows of words: by arm where there are arms, one for all of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.report import figures

if TYPE_CHECKING:
    from collections.abc import Iterator

PUBLISHED = "  published"
_LATENCIES = ("p50", "p95", "p99", "max")
_CLAIMS = ("claim", "verdict", "observed (95 % interval)", "expected")


@dataclass(frozen=True)
class Section:
    """One table; the first `words` columns hold words, the others figures. Without rows it is its title alone."""

    title: str
    header: tuple[str, ...]
    rows: list[list[str]]
    words: int = 1


def sections(summary: dict[str, Any]) -> list[Section]:
    """Every table of `summary`, in reading order; none of them empty."""
    if "matrix" in summary:
        found = [_sweep(summary), *_claims_of_arms(summary)]
    elif "arms" in summary:
        found = [section for arm in summary["arms"] for section in _arm(arm)]
    else:
        found = list(_figures(summary["strategies"], ""))
    title = "Claims across arms" if "arms" in summary else "Claims"
    found.append(Section(title, _CLAIMS, [_claim(claim) for claim in summary["claims"]], words=len(_CLAIMS)))
    found.append(_faults(summary))
    return [section for section in found if section.rows]


def _arm(arm: dict[str, Any]) -> Iterator[Section]:
    yield from _figures(arm["strategies"], arm["name"])
    title = _titled("claims", arm["name"])
    yield Section(title, _CLAIMS, [_claim(claim) for claim in arm["claims"]], words=len(_CLAIMS))


def _figures(strategies: dict[str, Any], arm: str) -> Iterator[Section]:
    """Latencies, hedges, and where there was a schedule how well it was kept; of one arm or of the whole run ("")."""
    names = tuple(name if name == "max" else name.upper() for name in _LATENCIES)
    latencies = [row for name, strategy in strategies.items() for row in _latencies(name, strategy)]
    yield Section(_titled("latency in ms", arm), ("strategy", *names, "P99, 95 % interval"), latencies)
    yield Section(
        _titled("hedges, and their lateness in µs", arm),
        ("strategy", "hedges", "hedge rate", "extra load", "duplicates", "late P50", "late P99"),
        [_hedges(name, strategy) for name, strategy in strategies.items()],
    )
    yield Section(
        _titled("lateness of sends, and time in the socket buffer, in µs", arm),
        ("strategy", "sent late P50", "sent late P99", "buffered P50", "buffered P99"),
        [_waits(name, strategy) for name, strategy in strategies.items() if strategy.get("send_lateness_us")],
    )


def _titled(title: str, arm: str) -> str:
    return f"{arm}: {title}" if arm else title[0].upper() + title[1:]


def _latencies(name: str, strategy: dict[str, Any]) -> list[list[str]]:
    """Our row, and below it the published one where there is one."""
    ours = [figures.latency(strategy, quantile) for quantile in _LATENCIES]
    rows = [[name, *ours, figures.interval(strategy["ci95_ms"]["p99"])]]
    published = strategy.get("published_ms")
    if published is not None:
        rows.append([PUBLISHED, *(figures.number(published.get(quantile)) for quantile in _LATENCIES), ""])
    return rows


def _hedges(name: str, strategy: dict[str, Any]) -> list[str]:
    lateness = strategy["lateness_us"]
    return [
        name,
        str(strategy["hedges"]),
        figures.percent(strategy["hedge_rate"]),
        figures.percent(strategy["extra_load"]),
        str(strategy["duplicates_delivered"]),
        figures.micros(lateness["p50"]),
        figures.micros(lateness["p99"]),
    ]


def _waits(name: str, strategy: dict[str, Any]) -> list[str]:
    sent, buffered = strategy["send_lateness_us"], strategy["buffered_ms"]
    in_micros = [None if value is None else value * 1000 for value in (buffered["p50"], buffered["p99"])]
    return [name, *(figures.micros(value) for value in (sent["p50"], sent["p99"], *in_micros))]


def _sweep(summary: dict[str, Any]) -> Section:
    """One row for each strategy at each swept value, the value written where it begins."""
    keys = list(summary["matrix"])
    rows = []
    for arm in summary["arms"]:
        values = [str(arm["set"][key]) for key in keys]
        for name, strategy in arm["strategies"].items():
            rows.append(
                [
                    *values,
                    name,
                    figures.latency(strategy, "p50"),
                    figures.latency(strategy, "p99"),
                    figures.interval(strategy["ci95_ms"]["p99"]),
                    figures.percent(strategy["extra_load"]),
                    figures.micros(strategy["lateness_us"]["p99"]),
                ]
            )
            values = [""] * len(keys)
    header = (
        *(key.rpartition(".")[2] for key in keys),
        "strategy",
        "P50",
        "P99",
        "95 % interval",
        "load",
        "late P99",
    )
    title = f"Latency in ms, extra load, and lateness in µs, over {' and '.join(keys)}"
    return Section(title, header, rows, words=len(keys) + 1)


def _claims_of_arms(summary: dict[str, Any]) -> Iterator[Section]:
    """The claims that each arm of a sweep makes by itself, in one table."""
    rows = [[arm["name"], *_claim(claim)] for arm in summary["arms"] for claim in arm["claims"]]
    yield Section("Claims in each arm", ("arm", *_CLAIMS), rows, words=len(_CLAIMS) + 1)


def _claim(claim: dict[str, Any]) -> list[str]:
    return [claim["id"], claim["verdict"], figures.observed(claim), claim["expect"]]


def _faults(summary: dict[str, Any]) -> Section:
    """How often each fault struck which node, and how many requests of a strategy were due meanwhile."""
    by_arm = "arms" in summary and "matrix" not in summary
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for fault in summary.get("faults", []):
        key = (*([fault["arm"]] if by_arm else []), fault["fault"], fault["target"])
        found.setdefault(key, []).append(fault)
    rows = [
        [
            *key,
            *(str(sum(fault[figure] for fault in faults)) for figure in ("occurrences", "proven")),
            _due(faults),
        ]
        for key, faults in found.items()
    ]
    header = ("fault", "target", "occurrences", "proven", "requests meanwhile")
    words = 3 if by_arm else 2
    return Section("Faults", ("arm", *header) if by_arm else header, rows, words=words)


def _due(faults: list[dict[str, Any]]) -> str:
    """How many requests each strategy had due while a fault was on: one number where it is the same for all."""
    totals: dict[str, int] = {}
    for fault in faults:
        for strategy, requests in fault["requests"].items():
            totals[strategy] = totals.get(strategy, 0) + requests
    low, high = min(totals.values(), default=0), max(totals.values(), default=0)
    return str(low) if low == high else f"{low} to {high}"
