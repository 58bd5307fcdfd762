"""matplotlib's SVG files made fit to stand together in one HTML page.

Alone each is fine; together their ids collide (clip paths, glyphs), their style sheets apply to the whole page, and
a screen reader finds a hundred unnamed groups instead of one picture.
"""

from __future__ import annotations

import re
from html import escape

_PROLOGUE = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_STYLE = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)
_ID = re.compile(r'\bid="([^"]+)"')
_REFERENCE = re.compile(r'(url\(#|href="#)([^")]+)')
_ROOT = re.compile(r"<svg\b[^>]*>", re.DOTALL)
_VIEW_BOX = re.compile(r'viewBox="([^"]+)"')


def inline(svg: str, name: str, title: str) -> str:
    """The picture in the text of an SVG file as an element of a page.

    `name` is unique on the page and prefixes every id, `title` is what a screen reader says. Raises ValueError where
    the text holds no SVG picture with a view box.
    """
    body = _METADATA.sub("", _PROLOGUE.sub("", svg, count=1))
    root = _ROOT.search(body)
    view_box = _VIEW_BOX.search(root[0]) if root else None
    if root is None or view_box is None:
        raise ValueError(f"{name} is no SVG picture with a view box")
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
