"""Whatever stands where variants, faults and arrivals should, it is loaded or refused in words: never a traceback."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import ScenarioError
from support.experiments import OPEN, experiment_of

KEYS = [
    *("hedging", "delay", "target", "workload", "arrivals", "rate", "mode", "users", "requests", "service", "stall"),
    *("service_time", "when", "duration", "strategies", "claims", "id", "expect", "faults", "fault", "at", "every"),
    *("model", "percent", "topology", "replicas", "arms", "matrix", "smoke", "a", "design", "blocks", "published"),
    *("hedging.delay", "faults.0.at", "workload.arrivals.rate", "..", ""),
]
VALUES = [
    *("10ms", "1s", "5/s", "open", "closed", "kernel", "baseline", "server-0", "servers", "client", "pause", "loss"),
    *("restart", "gc", "netem", "id < 3", "p99(kernel@a) < 1s", "p99(kernel) < 1s", "50%", "5 mbit", ""),
]
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 10**6), st.floats(allow_nan=False, width=32), st.sampled_from(VALUES)
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)),
    max_leaves=12,
)
sections = st.sampled_from(["arms", "matrix", "smoke", "faults", "workload", "hedging", "claims", "published"])


@settings(max_examples=300, deadline=None)
@given(key=sections, value=values, smoke=st.booleans(), in_file=st.booleans())
def test_anything_is_loaded_or_refused_with_a_place_and_words(
    key: str, value: Any, smoke: bool, in_file: bool
) -> None:
    text = OPEN + (f"{key}: {json.dumps(value)}\n" if in_file and key not in ("workload", "hedging") else "")
    overrides = () if in_file else (f"{key}={json.dumps(value)}",)
    try:
        experiment = experiment_of(text, *overrides, smoke=smoke)
    except ScenarioError as error:
        assert error.findings
        assert all(finding.where and finding.message for finding in error.findings)
    else:
        assert experiment_of(experiment.dump()) == experiment


OVERRIDES = st.dictionaries(
    st.sampled_from(["hedging", "workload", "service", "strategies", "faults"]), values, max_size=2
)


@settings(max_examples=300, deadline=None)
@given(arms=st.dictionaries(st.sampled_from(["a", "b", "c"]), OVERRIDES, min_size=1), smoke=OVERRIDES)
def test_any_overrides_in_arms_and_smoke_are_loaded_or_refused(arms: dict[str, Any], smoke: dict[str, Any]) -> None:
    text = f"{OPEN}arms: {json.dumps(arms)}\nsmoke: {json.dumps(smoke)}\n"
    try:
        experiment = experiment_of(text, smoke=True)
    except ScenarioError as error:
        assert error.findings
    else:
        assert experiment_of(experiment.dump()) == experiment
