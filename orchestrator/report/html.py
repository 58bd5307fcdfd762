"""Rendering of HTML pages from the templates, and of matplotlib's pictures within them.

Pages are self-contained: style and pictures are inline, and there are no scripts. They work offline and in print.
"""

from __future__ import annotations

import re
from functools import partial
from html import escape
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from orchestrator.report import formatting
from orchestrator.scenario.document import one_line

if TYPE_CHECKING:
    from pathlib import Path

_PROLOGUE = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_STYLE = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)
_ID = re.compile(r'\bid="([^"]+)"')
_REFERENCE = re.compile(r'(url\(#|href="#)([^")]+)')
_ROOT = re.compile(r"<svg\b[^>]*>", re.DOTALL)
_VIEW_BOX = re.compile(r'viewBox="([^"]+)"')


def render(template: str, **content: object) -> str:
    """The HTML page that `template` makes of `content`."""
    jinja = Environment(
        loader=PackageLoader("orchestrator.report"),
        autoescape=select_autoescape(enabled_extensions=("j2",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.tests["weak"] = lambda cell: isinstance(cell, formatting.Weak)
    jinja.globals["WEAK_MEANS"] = formatting.WEAK_MEANS
    jinja.filters |= {
        "observed": partial(formatting.format_observed, of_what=True),
        "claim_p": formatting.format_claim_p,
        "blocks": formatting.format_blocks,
        "engines": formatting.format_engines,
        "heading": _heading,
        "one_line": one_line,
    }
    return jinja.get_template(template).render(**content)


def picture(path: Path, title: str) -> Markup:
    """The plot in the SVG file at `path`, its `title` what a screen reader says.

    matplotlib escapes the texts in a plot and `inline` the title, so nothing comes from a scenario unescaped.
    """
    return Markup(inline(path.read_text(encoding="utf-8"), path.stem, title))  # noqa: S704


def inline(svg: str, name: str, title: str) -> str:
    """The picture in the text of an SVG file as an element of a page.

    As they are, files on one page have colliding ids (clip paths, glyphs), style sheets that apply to the whole page,
    and a hundred unnamed groups for a screen reader. `name` must be unique on the page and prefixes every id; `title`
    is what a screen reader says. Raises ValueError where the text holds no SVG picture with a view box.
    """
    body = _METADATA.sub("", _PROLOGUE.sub("", svg, count=1))
    root = _ROOT.search(body)
    view_box = _VIEW_BOX.search(root[0]) if root else None
    if root is None or view_box is None:
        raise ValueError(f"{name} is not an SVG picture with a view box")
    body = body[root.end() :]
    body = _STYLE.sub("", body)
    body = _ID.sub(lambda match: f'id="{name}-{match[1]}"', body)
    body = _REFERENCE.sub(lambda match: f"{match[1]}{name}-{match[2]}", body)
    label = escape(title, quote=True)
    # What matplotlib's style sheet says of every element; attributes of the root are inherited.
    opening = (
        f'<svg viewBox="{view_box[1]}" role="img" aria-label="{label}" stroke-linejoin="round" stroke-linecap="butt">'
    )
    return f"{opening}<title>{escape(title)}</title>{body.strip()}"


def _heading(text: str) -> Markup:
    """`text` with a space before a percent sign that does not break."""
    return Markup(escape(text).replace(" %", "&nbsp;%"))  # noqa: S704 (it is escaped)
