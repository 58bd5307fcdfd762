"""Pages in headless Chromium: what a reader would see of them, measured, and pictures of them.

The page stands in a frame of the wanted width, since a headless window cannot be as narrow as a phone. Nothing is
loaded from anywhere but the file.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from html import escape, unescape
from pathlib import Path
from typing import Any

from support.policy import cannot_run

PHONE_PX, DESKTOP_PX = 390, 1280
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
_MEASURE = Path(__file__).with_name("browser_measure.js")


def chromium() -> str:
    """The browser's program; what becomes of a test without it, policy.py says."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        cannot_run("needs Chromium: apt install chromium")
    return found


def measure(page: str, width_px: int, dark: bool = False) -> dict[str, Any]:
    """What browser_measure.js finds in `page` (HTML) at that width: see there for the keys."""
    script = f"<script>{_MEASURE.read_text()}</script><pre id='findings'></pre>"
    dumped = _chromium(_framed(page, width_px, 3000, dark) + script, "--virtual-time-budget=10000", "--dump-dom")
    found = re.search(r"<pre id=\"findings\">(.*?)</pre>", dumped, re.DOTALL)
    assert found, dumped[-2000:]
    assert found[1], dumped[-2000:]
    findings: dict[str, Any] = json.loads(unescape(found[1]))
    return findings


def screenshot(page: str, width_px: int, height_px: int, to: Path, dark: bool = False) -> None:
    """A picture (PNG) of the upper `height_px` of `page`."""
    _chromium(
        _framed(page, width_px, height_px, dark),
        f"--window-size={max(width_px, 500)},{height_px}",
        f"--screenshot={to}",
    )


def _framed(page: str, width_px: int, height_px: int, dark: bool) -> str:
    if dark:
        page = page.replace("@media (prefers-color-scheme: dark)", "@media all")
    frame = f'<iframe id="page" width="{width_px}" height="{height_px}" srcdoc="{escape(page, quote=True)}"'
    return f'<!doctype html><meta charset="utf-8"><style>*{{margin:0;border:0}}</style>{frame}></iframe>'


def _chromium(page: str, *options: str) -> str:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "page.html"
        file.write_text(page)
        command = [chromium(), *_FLAGS, f"--user-data-dir={directory}/profile", *options, f"file://{file}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
