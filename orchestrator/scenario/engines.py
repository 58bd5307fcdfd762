"""Which engine holds back the requests of which strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hedgerow_node.strategies import strategy_named

if TYPE_CHECKING:
    from hedgerow_node.protocol.hedger import Engine
    from orchestrator.scenario.models import Scenario


def engine_for(scenario: Scenario, strategy: str) -> Engine | None:
    """What the hedger is to be asked for in blocks of `strategy`; None where the kernel only watches."""
    known = strategy_named(strategy)
    if known.hedges_in != "kernel":
        return None
    return known.engine or _engine_of_hedging(scenario)


def engines_of(scenario: Scenario) -> tuple[Engine, ...]:
    """Those of all its strategies, in their order; where the kernel only watches, that of `hedging.engine`."""
    found = dict.fromkeys(engine_for(scenario, strategy) for strategy in scenario.strategies)
    return tuple(engine for engine in found if engine is not None) or (_engine_of_hedging(scenario),)


def _engine_of_hedging(scenario: Scenario) -> Engine:
    """Only clones can wait in netem, so a scenario that names netem has chosen them."""
    hedging = scenario.hedging
    return "clone" if hedging.engine == "auto" and hedging.delay_line == "netem" else hedging.engine
