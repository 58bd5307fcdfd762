"""What the plots have in common: colours, canvases, ticks, legends, and how a figure becomes files.

matplotlib takes a second to import: commands that draw nothing do not import this package.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypedDict, Unpack

import matplotlib
from matplotlib.axis import Axis, XAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.typing import LineStyleType

from orchestrator.report.formatting import minus
from orchestrator.runfolder.safe_files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from orchestrator.analysis.run_data import ArmData

#: A colour, and a line style as matplotlib takes it.
Style = tuple[str, LineStyleType]

#: Okabe and Ito's palette, a grey and a wine red: distinct to the colour-blind, and by their dashes without colour.
STYLES: dict[str, Style] = {
    "baseline": ("#000000", "solid"),
    "app-seed": ("#D55E00", (0, (5, 1.5))),
    "app-deadline": ("#E69F00", (0, (3, 1, 1, 1))),
    "app-asyncio": ("#CC79A7", (0, (6, 1.5, 1, 1.5, 1, 1.5))),
    "app-native": ("#56B4E9", (0, (7, 4))),
    "proxy": ("#767676", (0, (2.5, 1.5))),
    "kernel": ("#0072B2", "solid"),
    "kernel-clone": ("#009E73", (0, (1, 1))),
    "kernel-queue": ("#882255", (0, (4, 1, 1, 1, 1, 1))),
}
#: A mark each where single points are drawn.
MARKS = dict(zip(STYLES, "osP^vXDp*", strict=True))
#: Solid lines lie below all others and below each other, the first the widest: where curves coincide all can be seen.
_SOLID = [name for name, (_, dashes) in STYLES.items() if dashes == "solid"]
_WIDEST, _NARROWER, _DASHED = 3.0, 1.2, 1.5  # points
FAINT = 0.4  #: opacity of what a sample does not carry
TOO_FEW = "faint: too few requests to bound a P99"
WIDTH, HEIGHT = 8.0, 4.6  #: inches; at 110 dpi as wide as a README shows pictures
BEYOND = r"$\uparrow$"  #: the mark of what lies beyond the time-out
NOTE = "#555555"  #: colour of text that is not data
_DPI = 110
_LINEAR_TO = 10.0  #: of an axis that is logarithmic to both sides
_DECADE, _MANY_UPRIGHT, _MANY_ACROSS = 10.0, 100.0, 2000.0
_CHARACTERS_PER_INCH = 12  #: of a legend's title
_LINEAR_WITHIN = 2.5  #: so few times are divided evenly


class Curve(TypedDict):
    """How matplotlib is told to draw a line."""

    color: str
    linestyle: LineStyleType
    lw: float
    zorder: float


def curve(strategy: str) -> Curve:
    """The line of a strategy where others may coincide with it."""
    colour, dashes = STYLES[strategy]
    place = _SOLID.index(strategy) if strategy in _SOLID else len(_SOLID)
    width = _WIDEST - _NARROWER * place if strategy in _SOLID else _DASHED
    return Curve(color=colour, linestyle=dashes, lw=width, zorder=2 + 0.1 * place)


def faint(colour: str) -> tuple[float, float, float]:
    """`colour` as on white through `FAINT`, for marks that hide what is below them."""
    red, green, blue = (1 - FAINT * (1 - part) for part in to_rgb(colour))
    return red, green, blue


def canvas(title: str, x_label: str, y_label: str, arm: str | None = None) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; `arm` is named beside the title."""
    figure = new_figure()
    axes = figure.add_subplot()
    axes.set_title(titled(title, arm), loc="left", fontsize=12)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    simplify(axes)
    return figure, axes


def counted_from(arms: Iterable[ArmData]) -> str:
    """From when the latencies of `arms` count, for the picture itself: pictures travel without their page."""
    opened = {arm.scenario.is_open for arm in arms}
    if opened == {False}:
        return "closed loop, from the time of sending"
    return "from the intended time of sending" + ("; in some arms a closed loop" if False in opened else "")


def new_figure(width: float = WIDTH, height: float = HEIGHT) -> Figure:
    """An empty figure of `width` by `height` inches whose parts do not overlap."""
    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def titled(title: str, arm: str | None) -> str:
    """The title of a plot about one arm, or about a run without arms (None)."""
    return title if arm is None else f"{title}: {arm}"


def simplify(axes: Axes) -> None:
    """Remove the frame, and add grid lines to read values by."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(which="major", alpha=0.3, lw=0.6)


class Entries(TypedDict, total=False):
    """What a legend lists, where that is not simply all that was drawn with a label."""

    handles: Sequence[Artist]
    labels: Sequence[str]


def legend(figure: Figure, title: str | None = None, columns: int | None = None, **entries: Unpack[Entries]) -> None:
    """A legend below the axes, where it hides no curve."""
    columns = columns or (2 if title is None else 5)
    if title is not None:
        title = _in_lines(title, round(figure.get_figwidth() * _CHARACTERS_PER_INCH))
    drawn = figure.legend(loc="outside lower center", ncols=columns, frameon=False, title=title, **entries)
    drawn.get_title().set_multialignment("center")


def _in_lines(notes: str, width: int) -> str:
    """`notes`, which are separated by semicolons, in lines of at most `width` characters where these allow it."""
    lines: list[str] = []
    for note in notes.split("; "):
        if lines and len(lines[-1]) + len(note) + 2 <= width:
            lines[-1] += f"; {note}"
        else:
            lines.append(note)
    return "\n".join(lines)


def handles_of(panels: Sequence[Axes]) -> tuple[list[Artist], list[str]]:
    """Each strategy once, in the order of the scenario format, whichever panels it is in."""
    found = {
        label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    labels = [strategy for strategy in STYLES if strategy in found]
    return [found[label] for label in labels], labels


def note_no_data(axes: Axes, words: str = "none in this run") -> None:
    """Words in place of data."""
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=NOTE)


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Ticks at 1, 2 and 5 of each decade: fewer where `low` … `high` are many decades, more where less than one.

    They are written out: 2 5 10 20, where matplotlib would write powers of ten.
    """
    many = _MANY_ACROSS if isinstance(axis, XAxis) else _MANY_UPRIGHT
    times = high / low if low > 0 else _DECADE
    if times > many:
        _log_ticks(axis, (1.0,))
    elif times >= _DECADE:
        _log_ticks(axis, (1.0, 2.0, 5.0))
    else:
        _log_ticks(axis, (1.0, 2.0, 3.0, 4.0, 5.0, 7.0))
        if times < _LINEAR_WITHIN:
            axis.set_major_locator(MaxNLocator(nbins=6))


def _log_ticks(axis: Axis, steps: tuple[float, ...]) -> None:
    axis.set_major_locator(LogLocator(base=10, subs=steps, numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
    if len(steps) > 1:
        axis.set_minor_locator(NullLocator())


def signed_log(axes: Axes, low: float, high: float) -> None:
    """The x axis logarithmic to both sides of zero, for `low` < 0; between the first powers of ten it is linear."""
    axes.set_xscale("symlog", linthresh=_LINEAR_TO, linscale=0.5)
    reach = max(abs(low), abs(high), _LINEAR_TO)
    powers = [10.0**power for power in range(1, math.ceil(math.log10(reach)) + 1)]
    places = [*(-power for power in reversed(powers) if -power >= 10 * low), 0.0]
    places += [power for power in powers if power <= 10 * high]
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: minus(f"{value:g}")))
    axes.xaxis.set_minor_locator(NullLocator())


def fit_y(axes: Axes, values: Sequence[float]) -> None:
    """Limits that hold `values` with a margin: logarithmic where they span more than a decade, else from zero."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low > 0 and high / low > _DECADE:
        margin = 10 ** (0.08 * math.log10(high / low))
        axes.set_yscale("log")
        axes.set_ylim(low / margin, high * margin)
        log_ticks(axes.yaxis, low, high)
    else:
        axes.set_ylim(min(0.0, low * 1.1), high * 1.1 or 1.0)


def percent_ticks(axis: Axis) -> None:
    """Ticks of ratios as percentages."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: minus(f"{value * 100:g} %")))


def save(folder: Path, name: str, figure: Figure) -> None:
    """Write `figure` into `folder` as NAME.png and NAME.svg; the same figure always gives the same bytes.

    The canvases are used directly: `savefig` would draw everything twice.
    """
    for text in figure.findobj(Text):
        if "$" in text.get_text():  # an arm's name is no formula; tick labels, which may be some, are not written yet
            text.set_parse_math(False)
    with replacing(folder / f"{name}.png") as path:
        FigureCanvasAgg(figure).print_png(path)  # type: ignore[no-untyped-call]  # matplotlib's
    figure.set_layout_engine("none")  # the first drawing has laid it out
    # without date and random ids, the same run gives the same file; text stays text, to be searched and copied
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        vector = FigureCanvasSVG(figure)
        with replacing(folder / f"{name}.svg") as path:
            vector.print_svg(path, metadata={"Date": None})  # type: ignore[no-untyped-call]
