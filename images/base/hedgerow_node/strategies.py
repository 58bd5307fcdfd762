"""The strategies that are compared: what each is, in one table for the scenario format, the client and the reports.

To add one, add a row; a new policy goes into hedgerow_client/policies.py, a new program into its folder `native`, and
how plots draw it into the table of orchestrator/report/plots/style.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Strategy:
    """Who hedges, and what the client does for it.

    `policy` names one of the client's policies, which decides when to hedge, and `loop` what the policy runs in. In
    a compiled strategy the client's worker becomes `worker_program`, or sends through `proxy_program` beside it.
    """

    name: str
    hedges_in: Literal["none", "client", "kernel"]
    policy: Literal["never", "published", "deadline"] = "never"
    loop: Literal["poll", "asyncio"] = "poll"
    worker_program: str | None = None
    proxy_program: str | None = None
    closed_only: bool = False  #: the client waits for each answer, so it cannot follow open arrivals
    engine: Literal["clone", "queue"] | None = None  #: of the kernel; None: what `hedging.engine` says
    runs_as: str | None = None  #: the strategy that the client runs, where it is another one

    @property
    def hedges(self) -> bool:
        """Whether hedges are sent at all."""
        return self.hedges_in != "none"

    @property
    def compiled(self) -> bool:
        """Whether the hedging is a compiled program's instead of a policy's."""
        return self.worker_program is not None or self.proxy_program is not None

    @property
    def collects_garbage(self) -> bool:
        """Whether the client's worker is Python, whose collector can stop it."""
        return self.worker_program is None

    @property
    def client_name(self) -> str:
        """The strategy that the client runs."""
        return self.runs_as or self.name


#: In the order of the scenario format, of tables and of legends.
STRATEGIES = (
    Strategy("baseline", "none"),
    Strategy("app-seed", "client", policy="published", closed_only=True),
    Strategy("app-deadline", "client", policy="deadline"),
    Strategy("app-asyncio", "client", policy="deadline", loop="asyncio"),
    Strategy("app-native", "client", worker_program="app-native"),
    Strategy("proxy", "client", proxy_program="proxy"),
    Strategy("kernel", "kernel"),
    Strategy("kernel-clone", "kernel", engine="clone", runs_as="kernel"),
    Strategy("kernel-queue", "kernel", engine="queue", runs_as="kernel"),
)
STRATEGY_NAMES = tuple(strategy.name for strategy in STRATEGIES)
#: A block with nothing attached to the client's interface; for `bench`, not for scenarios.
BARE = Strategy("bare", "none", runs_as="baseline")

_BY_NAME = {strategy.name: strategy for strategy in (*STRATEGIES, BARE)}
#: What a client can run.
CLIENT_STRATEGIES = tuple(strategy.name for strategy in STRATEGIES if strategy.runs_as is None)


def strategy_named(name: str) -> Strategy:
    """The strategy `name`; KeyError where there is none."""
    return _BY_NAME[name]
