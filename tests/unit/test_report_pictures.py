"""Pictures that stand together in one page do not get into each other's way."""

from __future__ import annotations

import re

import pytest

from orchestrator.report.html import inline

FILE = """<?xml version="1.0" encoding="utf-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN"
  "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="576pt" height="331pt" viewBox="0 0 576 331" version="1.1">
 <metadata><rdf:RDF><cc:Work/></rdf:RDF></metadata>
 <defs><style type="text/css">*{stroke-linejoin: round; stroke-linecap: butt}</style></defs>
 <g id="figure_1"><path id="line" clip-path="url(#p1)"/><use xlink:href="#line"/></g>
 <defs><clipPath id="p1"><rect/></clipPath></defs>
</svg>
"""


def test_ids_and_what_refers_to_them_get_the_pictures_name() -> None:
    picture = inline(FILE, "tail", "The tail")
    assert set(re.findall(r'id="([^"]+)"', picture)) == {"tail-figure_1", "tail-line", "tail-p1"}
    assert "url(#tail-p1)" in picture
    assert 'href="#tail-line"' in picture


def test_nothing_of_it_reaches_beyond_the_picture() -> None:
    picture = inline(FILE, "tail", "The tail")
    assert picture.startswith("<svg ")
    for foreign in ("<?xml", "<!DOCTYPE", "<style", "metadata", "http://"):
        assert foreign not in picture
    assert "width=" not in picture.split(">", 1)[0]


def test_a_screen_reader_finds_one_named_picture() -> None:
    picture = inline(FILE, "tail", 'P99 < 5 & "so on"')
    assert 'role="img" aria-label="P99 &lt; 5 &amp; &quot;so on&quot;"' in picture
    assert "<title>P99 &lt; 5 &amp; &quot;so on&quot;</title>" in picture


def test_what_is_not_a_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="tail is not an SVG picture"):
        inline("<html></html>", "tail", "The tail")
