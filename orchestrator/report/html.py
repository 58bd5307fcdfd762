"""What all HTML pages share: the templates, and matplotlib's pictures made fit to stand in them.

Pages are self-contained: style and pictures are in them, no script is needed to read them, they work offline and on
paper.
"""

from __future__ import annotations

import re
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
    """The page that `template` lays `content` out as; numbers are written as everywhere else."""
    jinja = Environment(
        loader=PackageLoader("orchestrator.report"),
        autoescape=select_autoescape(enabled_extensions=("j2",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters |= {
        "observed": formatting.format_observed,
        "p_value": formatting.format_p_value,
        "blocks": formatting.format_blocks,
        "heading": _heading,
        "one_line": one_line,
    }
    return jinja.get_template(template).render(**content)


def picture(path: Path, title: str) -> Markup:
    """The plot in the SVG file at `path`, its `title` what a screen reader says.

    Plots are drawn by matplotlib, and `inline` escapes the title: nothing in them came from a scenario unescaped.
    """
    return Markup(inline(path.read_text(encoding="utf-8"), path.stem, title))  # noqa: S704


def inline(svg: str, name: str, title: str) -> str:
    """The picture in the text of an SVG file as an element of a page.

    Alone each file is fine; together their ids collide (clip paths, glyphs), their style sheets apply to the whole
    page, and a screen reader finds a hundred unnamed groups instead of one picture. `name` is unique on the page and
    prefixes every id, `title` is what a screen reader says. Raises ValueError where the text holds no SVG picture
    with a view box.
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
    """Words that do not part at a percent sign."""
    return Markup(escape(text).replace(" %", "&nbsp;%"))  # noqa: S704 (it is escaped)
