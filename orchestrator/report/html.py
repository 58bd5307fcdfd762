"""report.html: one file that shows what was claimed, what this run says of it, how sure it is, and on which machine.

Self-contained: style and pictures are in it, no script is needed to read it, it works offline and on paper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from orchestrator.report import figures
from orchestrator.report.page import LATENCIES, Page, gather
from orchestrator.scenario.document import one_line

if TYPE_CHECKING:
    from orchestrator.runfolder.folder import RunFolder


def write_report(folder: RunFolder) -> None:
    """Write report.html of the run in `folder`; RunError where the folder lacks what it shows."""
    folder.report.write_text(render(gather(folder)), encoding="utf-8")
    folder.give_to_owner()


def render(page: Page) -> str:
    """`page` as HTML."""
    return environment().get_template("report.html.j2").render(page=page, latencies=LATENCIES)


def environment() -> Environment:
    """Jinja2 with our templates and the way in which figures are written everywhere."""
    jinja = Environment(
        loader=PackageLoader("orchestrator.report"),
        autoescape=select_autoescape(enabled_extensions=("j2",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters |= {
        "interval": figures.interval,
        "number": figures.number,
        "micros": figures.micros,
        "percent": figures.percent,
        "observed": figures.observed,
        "compared": figures.compared,
        "p_value": figures.p_value,
        "blocks": figures.blocks,
        "control_words": figures.control_words,
        "picture": _picture,
        "one_line": one_line,
    }
    jinja.globals["latency"] = figures.latency
    return jinja


def _picture(svg: str) -> Markup:
    """Pictures are ours, made by matplotlib and by `inline_svg`: nothing in them came from a scenario unescaped."""
    return Markup(svg)  # noqa: S704
