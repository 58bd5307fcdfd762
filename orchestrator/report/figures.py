"""How figures are written for people: as many digits as they carry, and a word where there is no number."""

from __future__ import annotations

from typing import Any

NONE = "-"
BEYOND = "> timeout"  #: an upper end of a latency, and a latency itself
OPEN = "unbounded"  #: any other end that is no number
MINUS = "\N{MINUS SIGN}"
_TIMES = ("ms", "us")
_COMPARED = {"ratio": ("ratio", "ratio_ci95"), "difference": ("difference_ms", "difference_ci95_ms")}
_CENSORED = {("strategy",): BEYOND, ("with",): f"other {BEYOND}", ("strategy", "with"): f"both {BEYOND}"}


def number(value: float | None) -> str:
    """`value` with two decimals, or fewer the larger it is."""
    if value is None:
        return NONE
    return f"{value:.2f}" if abs(value) < 1000 else f"{value:.0f}"


def micros(value: float | None) -> str:
    """A lateness in whole microseconds."""
    return NONE if value is None else f"{value:.0f}"


def percent(ratio: float | None) -> str:
    """`ratio` as a percentage."""
    return NONE if ratio is None else f"{ratio * 100:.2f} %"


def blocks(count: int) -> str:
    """How many blocks."""
    return "1 block" if count == 1 else f"{count} blocks"


def latency(strategy: dict[str, Any], name: str) -> str:
    """A latency of a strategy's summary in ms; quantiles that fall among time-outs say so."""
    return BEYOND if name in strategy.get("censored", ()) else number(strategy["latency_ms"][name])


def interval(ends: list[float | None] | None, digits: int = 2, beyond: str = BEYOND) -> str:
    """An interval; an open upper end is called `beyond`: that of a latency lies beyond the time-out."""
    if ends is None:
        return NONE
    low, high = (
        open_end if end is None else f"{end:.{digits}f}" for end, open_end in zip(ends, (OPEN, beyond), strict=True)
    )
    return f"{low} to {high}"


def observed(claim: dict[str, Any]) -> str:
    """What a claim observed, in its unit, with its interval."""
    value, unit = claim["observed"], claim["unit"]
    if value is None:
        return NONE
    scale = 100 if unit == "share" else 1
    suffix = {"ms": " ms", "us": " µs", "share": " %"}.get(unit, "")
    digits = {"ms": 2, "us": 0, "count": 0, "share": 2}.get(unit, 4)
    ends = claim["ci95"] and [None if end is None else end * scale for end in claim["ci95"]]
    bounds = f" ({interval(ends, digits, BEYOND if unit in _TIMES else OPEN)})" if ends else ""
    return f"{value * scale:.{digits}f}{suffix}{bounds}"


def compared(row: dict[str, Any], figure: str, digits: int) -> str:
    """`figure` of a comparison, its "ratio" or "difference", with its interval; else which side is censored."""
    value, ends = (row[name] for name in _COMPARED[figure])
    bounds = f" ({interval(ends, digits, OPEN)})" if ends else ""
    if value is not None:
        return f"{value:.{digits}f}{bounds}".replace("-", MINUS)
    return f"{_CENSORED.get(tuple(row.get('censored', ())), NONE)}{bounds.replace('-', MINUS)}"


def p_value(value: float) -> str:
    """A p-value with as many digits as anybody needs."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def control_words(control: dict[str, Any]) -> str:
    """What the baseline against itself says of the run."""
    one, other = control["requests"]
    halves = f"A/A control: {one} requests of the baseline against its other {other}."
    if control["null"] is None:
        reason = control.get("reason")
        return f"{halves} No intervals{f': {reason}' if reason else ''}."
    if control["null"]:
        return (
            f"{halves} No effect shows, as it must be. The width of these intervals is the noise within blocks; what "
            "differs from block to block is in the claims' own intervals."
        )
    return (
        f"{halves} An effect shows where there can be none. Chance alone shows one in one run of twenty; else "
        "something is wrong with this run: trust no small difference of it."
    )
