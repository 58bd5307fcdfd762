"""How numbers, units and values are written in all reports."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from hedgerow_node.units import NS_PER_S

if TYPE_CHECKING:
    from orchestrator.runfolder.summary import ClaimVerdict, Difference, Interval, StrategySummary, Summary

NONE = "-"
BEYOND = "> timeout"  #: an upper end of a latency, and a latency itself
OPEN = "unbounded"  #: any other end that is not a number
UNKNOWN = "unknown"
STATED_AFTER = "stated after the run"
#: A figure in a claim: function, strategy and arm.
CALL = re.compile(r"([a-z]\w*)\(\s*([\w-]+)(?:@([^)]+?))?\s*\)")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: By the unit of a claim: factor, suffix, and number of decimals.
_UNITS = {"ms": (1, " ms", 2), "us": (1, " µs", 0), "share": (100, " %", 2), "count": (1, "", 0), "ratio": (1, "", 4)}
_TIMES = ("ms", "us")
_CENSORED = {("strategy",): BEYOND, ("with",): f"other {BEYOND}", ("strategy", "with"): f"both {BEYOND}"}


def printable(text: str) -> str:
    """`text` with characters written out that move a terminal's cursor or turn the order of letters."""
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


class Weak(str):
    """The text of a figure that its sample does not carry: what was seen, but no estimate of what to expect."""

    __slots__ = ()


#: What the mark of such figures means, whatever mark an exporter has.
WEAK_MEANS = (
    "a maximum, or a quantile of fewer values than bound it (a P99 takes 368, a P99.9 3,688): what was seen, not "
    "what to expect"
)


def minus(text: str) -> str:
    """Numbers in `text` as people read them, with a minus sign for each hyphen; JSON has hyphens."""
    return text.replace("-", "\N{MINUS SIGN}")


def format_number(value: float | None) -> str:
    """`value` with two decimals, or none from 1000 on."""
    if value is None:
        return NONE
    return minus(f"{value:.2f}" if abs(value) < 1000 else f"{value:.0f}")


def format_micros(value_us: float | None) -> str:
    """A lateness in whole microseconds, without the unit."""
    return NONE if value_us is None else minus(f"{value_us:.0f}")


def format_percent(ratio: float | None) -> str:
    """`ratio` as a percentage."""
    return NONE if ratio is None else minus(f"{ratio * 100:.2f} %")


def format_seconds(duration_ns: int) -> str:
    """A duration in seconds, to the millisecond."""
    return f"{duration_ns / NS_PER_S:.3f} s"


def format_p_value(value: float) -> str:
    """A p-value, to two significant digits."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def format_claim_p(claim: ClaimVerdict) -> str:
    """The p-value of a claim, as far as its blocks can show one by themselves; nothing where it has none."""
    if claim.p_adjusted is None:
        return ""
    if claim.p_floor is not None and claim.p_adjusted <= claim.p_floor:
        return f"p \N{LESS-THAN OR EQUAL TO} {claim.p_floor:.3g}"
    return format_p_value(claim.p_adjusted)


def format_blocks(count: int) -> str:
    """How many blocks."""
    return "1 block" if count == 1 else f"{count} blocks"


def format_figure(name: str) -> str:
    """The name of a latency figure, e.g. p999, as a heading has it."""
    if name in ("max", "mean"):
        return name
    return "P99.9" if name == "p999" else name.upper()


def format_latency(strategy: StrategySummary, name: str) -> str:
    """A latency of a strategy in ms; quantiles that fall among time-outs say so."""
    return BEYOND if name in strategy.censored else format_number(strategy.latency_ms.get(name))


def format_interval(ends: Interval | None, digits: int = 2, beyond: str = BEYOND) -> str:
    """An interval; `beyond` is written for an open upper end, which for a latency lies beyond the time-out."""
    if ends is None:
        return NONE
    low, high = (
        open_end if end is None else minus(f"{end:.{digits}f}")
        for end, open_end in zip(ends, (OPEN, beyond), strict=True)
    )
    return f"{low} to {high}"


def format_observed(claim: ClaimVerdict, *, of_what: bool = False) -> str:
    """What a claim observed, in its unit, with its interval, or what the count of it proves of the share.

    `of_what` says of ratios what they are a multiple of ("0.186 \N{MULTIPLICATION SIGN} baseline").
    """
    if claim.observed is None:
        return NONE
    scale, suffix, digits = _UNITS.get(claim.unit, _UNITS["ratio"])
    if of_what and claim.unit == "ratio":
        suffix = _multiple_of(claim.expect)
    if claim.unit == "ms" and abs(claim.observed) < 1:
        digits = 3  # a difference of some µs
    bounds = ""
    if claim.ci95 is not None:
        low, high = (None if end is None else end * scale for end in claim.ci95)
        bounds = f" ({format_interval((low, high), digits, BEYOND if claim.unit in _TIMES else OPEN)})"
    elif claim.proves is not None:
        bounds = f" (proves {claim.proves.side} {format_percent(claim.proves.share)})"
    return f"{minus(f'{claim.observed * scale:.{digits}f}')}{suffix}{bounds}"


def _multiple_of(expect: str) -> str:
    """What the ratio is a multiple of that the claim `expect` observes: the figure that it names second.

    That is the strategy, where both figures are the same one in the same arm.
    """
    calls = list(CALL.finditer(expect))
    if len(calls) != 2:
        return ""
    (function, _, arm), (other, strategy, other_arm) = (call.groups() for call in calls)
    name = strategy if (function, arm) == (other, other_arm) else calls[1][0]
    return f" \N{MULTIPLICATION SIGN} {name}"


def format_verdict(claim: ClaimVerdict) -> str:
    """The verdict on a claim, and whether the claim was only stated after the run."""
    return f"{claim.verdict}, {STATED_AFTER}" if claim.stated_after_run else claim.verdict


def format_difference(row: Difference, figure: Literal["ratio", "difference"], digits: int) -> str:
    """Ratio or difference of two figures with its interval, or which side is censored where there is no number."""
    value, ends = (row.ratio, row.ratio_ci95) if figure == "ratio" else (row.difference_ms, row.difference_ci95_ms)
    text = _CENSORED.get(row.censored, NONE) if value is None else minus(f"{value:.{digits}f}")
    return text if ends is None else f"{text} ({format_interval(ends, digits, OPEN)})"


def format_value(value: object) -> str:
    """A value from a manifest or a journal as text, nested values in one line."""
    if value is None or value == []:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {format_value(item)}" for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(format_value(item) for item in value)
    return str(value)


def format_engines(summary: Summary, absent: str = "none") -> str:
    """Engine and delay line of a run; where strategies differ, those of each."""
    users: dict[str, dict[str, None]] = {}
    for arm in summary.arms:
        for strategy, figures in arm.strategies.items():
            if figures.engine:
                used = f"engine {figures.engine}, delay line {figures.delay_line or absent}"
                users.setdefault(used, {})[strategy] = None
    if len(users) > 1:
        return "; ".join(f"{used} ({', '.join(strategies)})" for used, strategies in users.items())
    return f"engine {summary.engine or absent}, delay line {summary.delay_line or absent}"


def in_arm(arm: str | None, words: str) -> str:
    """`words` with the arm that they are about, where there is one, in front."""
    return words if arm is None else f"{arm}, {words}"


def of_arm(arm: str | None, words: str) -> str:
    """`words` as a title, with the arm that they are about, where there is one, in front."""
    return words if arm is None else f"{arm}: {words}"
