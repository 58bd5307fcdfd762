"""How long a client waits, and when it sends a second copy: the only difference between the strategies.

The loop asks its policy at four moments; everything else, and so the cost of a request, is the same for all. Where
the kernel hedges, the client runs the baseline's policy: any difference is then the kernel's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hedgerow_node.units import NS_PER_MS

if TYPE_CHECKING:
    from hedgerow_node.strategies import Strategy


class Policy:
    """No hedging, and a request time-out that is absolute. All times are in nanoseconds.

    A request is due at `intended_ns` and leaves at `sent_ns`, in open arrivals a little later, or much later by a
    client that was held up. Its time-out counts from the first, its hedge delay from the second.
    """

    hedges = False  #: whether a second copy is sent when the primary's deadline has passed
    is_disturbed = False  #: whether datagrams that are not the awaited answer move deadlines

    def __init__(self, timeout_ns: int, hedge_delay_ns: int) -> None:
        self._timeout_ns = timeout_ns
        self._hedge_delay_ns = hedge_delay_ns

    def primary_deadline_ns(self, intended_ns: int, sent_ns: int) -> int:  # noqa: ARG002 (who hedges counts from it)
        """Until when to wait for the answer to the first copy."""
        return intended_ns + self._timeout_ns

    def final_deadline_ns(self, intended_ns: int, hedged_ns: int) -> int:  # noqa: ARG002 (other policies count from it)
        """Until when to wait for an answer at all, the second copy leaving at `hedged_ns`."""
        return intended_ns + self._timeout_ns

    def disturbed_deadline_ns(self, hedged: bool, now_ns: int) -> int:
        """The deadline after a datagram that was not the answer arrived at `now_ns`, where that disturbs."""
        raise NotImplementedError


class AppDeadline(Policy):
    """User-space hedging done well: absolute deadlines for the hedge and for the request."""

    hedges = True

    def primary_deadline_ns(self, intended_ns: int, sent_ns: int) -> int:
        return min(sent_ns + self._hedge_delay_ns, intended_ns + self._timeout_ns)


class AppSeed(Policy):
    """User-space hedging as the published client does it.

    It sets a time-out on its socket and receives in a loop that skips answers to other ids. The time-out belongs to
    each receive, so every late answer to an earlier request starts it again, and Python rounds it up to whole
    milliseconds. After the hedge it waits up to the request's time-out in the same way.
    """

    hedges = True
    is_disturbed = True

    def __init__(self, timeout_ns: int, hedge_delay_ns: int) -> None:
        super().__init__(_up_to_whole_ms(timeout_ns), _up_to_whole_ms(hedge_delay_ns))

    def primary_deadline_ns(self, intended_ns: int, sent_ns: int) -> int:  # noqa: ARG002
        return sent_ns + self._hedge_delay_ns

    def final_deadline_ns(self, intended_ns: int, hedged_ns: int) -> int:  # noqa: ARG002
        return hedged_ns + self._timeout_ns

    def disturbed_deadline_ns(self, hedged: bool, now_ns: int) -> int:
        return now_ns + (self._timeout_ns if hedged else self._hedge_delay_ns)


def _up_to_whole_ms(value_ns: int) -> int:
    return -(-value_ns // NS_PER_MS) * NS_PER_MS


#: By what the table of strategies calls them.
_POLICIES: dict[str, type[Policy]] = {"never": Policy, "published": AppSeed, "deadline": AppDeadline}


def policy_of(strategy: Strategy, timeout_ns: int, hedge_delay_ns: int) -> Policy:
    """The policy that the client runs for `strategy`."""
    return _POLICIES[strategy.policy](timeout_ns, hedge_delay_ns)
