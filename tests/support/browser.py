"""Pages in headless Chromium: what a reader would see of them, measured, and pictures of them.

The page stands in a frame of the wanted width, since a headless window cannot be as narrow as a phone. Nothing is
loaded from anywhere but the file.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import tempfile
from html import escape, unescape
from pathlib import Path
from typing import Any, NamedTuple

from support.policy import cannot_run

PHONE_PX, DESKTOP_PX = 360, 1280


class View(NamedTuple):
    """How somebody looks at a page."""

    width_px: int
    dark: bool = False


DESKTOP, PHONE = View(DESKTOP_PX), View(PHONE_PX)
VIEWS = (DESKTOP, PHONE, View(DESKTOP_PX, dark=True), View(PHONE_PX, dark=True))
_TIMEOUT_S = 120
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
)
#: Keys of what is measured that must be empty.
_PROBLEMS = (
    *("low_contrast", "duplicate_ids", "broken_links", "unnamed", "unreachable", "unhinted", "small_targets"),
    *("cut_captions", "requests"),
)
_MEASURE = Path(__file__).with_name("browser_measure.js")


def chromium() -> str:
    """The browser's program; what becomes of a test without it, policy.py says."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        cannot_run("needs Chromium: apt install chromium")
    return found


def measure(page: str, *views: View) -> list[dict[str, Any]]:
    """What browser_measure.js finds in `page` (HTML) in each of `views`: see there for the keys.

    One browser measures them all: it takes longer to start than to measure.
    """
    script = f"<script>{_MEASURE.read_text()}</script><pre id='findings'></pre>"
    frames = _framed(*(_frame(page, view.width_px, 3000, view.dark) for view in views))
    dumped = _chromium(frames + script, "--virtual-time-budget=10000", "--dump-dom")
    found = re.search(r"<pre id=\"findings\">(.*?)</pre>", dumped, re.DOTALL)
    assert found, dumped[-2000:]
    assert found[1], dumped[-2000:]
    findings: list[dict[str, Any]] = json.loads(unescape(found[1]))
    assert len(findings) == len(views)
    return findings


def assert_reads_well(page: str, *views: View) -> None:
    """That `page` can be read in each of `views`: by everybody, by keyboard, and without loading anything."""
    for view, found in zip(views, measure(page, *views), strict=True):
        assert found["overflow"] == 0, f"wider than its window: {view}"
        for problem in _PROBLEMS:
            assert found[problem] == [], (view, problem)
        levels = found["headings"]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
        assert found["lang"] == "en"
        assert found["title"]


def screenshot(page: str, width_px: int, height_px: int, to: Path, dark: bool = False) -> None:
    """A picture (PNG) of the upper `height_px` of `page`."""
    _chromium(
        _framed(_frame(page, width_px, height_px, dark)),
        f"--window-size={max(width_px, 500)},{height_px}",
        f"--screenshot={to}",
    )


def _framed(*frames: str) -> str:
    return f'<!doctype html><meta charset="utf-8"><style>*{{margin:0;border:0}}</style>{"".join(frames)}'


def _frame(page: str, width_px: int, height_px: int, dark: bool) -> str:
    if dark:
        page = page.replace("@media (prefers-color-scheme: dark)", "@media all")
    return f'<iframe width="{width_px}" height="{height_px}" srcdoc="{escape(page, quote=True)}"></iframe>'


def _chromium(page: str, *options: str) -> str:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "page.html"
        file.write_text(page)
        command = [chromium(), *_FLAGS, f"--user-data-dir={directory}/profile", *options, f"file://{file}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
