"""How a value of a scenario, or of a manifest, is written on one line, wherever people see one."""

from __future__ import annotations

import json
from typing import Any

import yaml


def one_line(value: Any) -> str:
    """`value` as one writes it in YAML, on one line however long it is; texts of several lines are quoted."""
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1e9, sort_keys=False)
    text = text.removesuffix("\n...\n").strip()
    return json.dumps(value, ensure_ascii=False) if "\n" in text else text
