"""Text files are read and written as UTF-8 whatever the locale says: a run folder is read on other machines too."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from support.run_folder_factory import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCES = sorted([*(ROOT / "orchestrator").rglob("*.py"), *(ROOT / "images").rglob("*.py")])
#: Beside `open`, which is looked at where its mode is that of a text.
OF_TEXTS = ("read_text", "write_text")


def without_encoding(source: str) -> Iterator[int]:
    """The lines of calls that leave the encoding to the locale."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or any(keyword.arg == "encoding" for keyword in node.keywords):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        modes = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        texts = name == "open" and any(mode in ("a", "r", "w", "x") for mode in modes)
        if name in OF_TEXTS or texts:
            yield node.lineno


def test_what_leaves_it_to_the_locale_is_found() -> None:
    source = 'a.read_text()\nb.open("a")\nb.open("ab")\nc.write_text("", encoding="utf-8")\nopen(d, "w")\n'
    assert list(without_encoding(source)) == [1, 2, 5]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_leaves_the_encoding_to_the_locale(path: Path) -> None:
    assert list(without_encoding(path.read_text(encoding="utf-8"))) == []
