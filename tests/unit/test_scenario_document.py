"""Values of scenarios and manifests on one line."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from orchestrator.scenario.document import one_line

LONG = [f"server-{number} answers late" for number in range(1_000)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (7, "7"),
        ("10ms", "10ms"),
        ("5 µs", "5 µs"),
        ([], "[]"),
        ([{"fault": "pause", "at": "100ms"}], "[{fault: pause, at: 100ms}]"),
        ({"b": 1, "a": [2, 3]}, "{b: 1, a: [2, 3]}"),
        ("two\nlines", '"two\\nlines"'),
        ({"text": "two\nlines of µs"}, '{"text": "two\\nlines of µs"}'),
        (LONG, f"[{', '.join(LONG)}]"),
    ],
)
def test_a_value_is_one_line_that_yaml_reads_back(value: Any, text: str) -> None:
    assert one_line(value) == text
    assert yaml.safe_load(text) == value
