"""Faults of the network between the client and a server: struck at the client's interface, by the hedger's programs.

By eBPF each copy's lot is drawn from the seed, the request's id, the copy's number and the replica, so the same
request loses its first copy under every strategy. By netem it is the kernel's own draw, different every time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hedgerow_node.chance import rule_salt, struck
from hedgerow_node.protocol.limits import MAX_RULES
from orchestrator.errors import UsageError
from orchestrator.run.faults.acts import LEAST_SHARE, Act, Proof, acts_of, asked_of, least_strikes
from orchestrator.scenario.faults import Delay, NetworkFault, RateLimit, Reorder

if TYPE_CHECKING:
    from orchestrator.plan.blocks import Plan
    from orchestrator.run.faults.scene import Scene
    from orchestrator.scenario.experiment import Experiment

_CERTAIN = 100.0


class Rule:
    """A rule for the hedger's programs; one for each direction."""

    def apply(self, act: Act, scene: Scene) -> None:
        """Arranges it for the struck requests."""
        fault: Any = act.fault
        if not act.struck:
            return
        delay = {"delay_ns": fault.delay_ns} if isinstance(fault, Delay) else {}
        for direction in directions_of(act):
            scene.rule(act, kind=fault.fault, direction=direction, percent=percent_of(act), **delay)

    def undo(self, act: Act, scene: Scene) -> None:  # noqa: ARG002 (one for all)
        """All rules of the block are taken back at once."""
        scene.end_rules()

    def proof(self, act: Act, scene: Scene) -> Proof:
        """The programs counted copies that they struck, unless by the lots drawn there was none to strike.

        Copies that should have been held back and found no room to are no fault of one rule alone: where there are
        many, none is proven.
        """
        hits = scene.hits.get(act.name, 0)
        if hits:
            act.applied_ns, act.undone_ns = act.planned_ns(scene.start_ns)
        expected = self._drawn(act, scene)
        failed, struck_in_all = scene.failed_strikes, sum(scene.hits.values())
        evidence = {"hits": hits, "expected_primaries": expected, "failed": failed}
        if struck_in_all < LEAST_SHARE * (struck_in_all + failed):
            return Proof(
                False, f"{failed} copies that were to be struck passed, of {struck_in_all + failed}", evidence
            )
        if hits < least_strikes(act, scene.acts, expected):
            return Proof(False, f"struck {hits or 'no'} copies, of {expected} primaries whose lot it was", evidence)
        return Proof(True, f"struck {hits} copies" if hits else "it was no copy's lot to be struck", evidence)

    @staticmethod
    def _drawn(act: Act, scene: Scene) -> int:
        """The requests of which it is the primary's lot, or the first response's, to be struck: the kernel's draw."""
        seed, percent = scene.scenario.workload.seed, percent_of(act)
        salts = [rule_salt(act.name, direction) for direction in directions_of(act)]
        return sum(
            any(struck(seed, id_, 1, act.replica, salt, percent) for salt in salts)
            for id_ in asked_of(scene.scenario, act)
        )


def check_room(experiment: Experiment, plan: Plan) -> None:
    """Raises UsageError where a block's faults need more rules than the hedger's programs have room for."""
    for block in plan:
        acts, _ = acts_of(experiment.arm(block.arm).scenario, block)
        rules = sum(len(directions_of(act)) for act in acts if act.struck and by_programs(act))
        if rules > MAX_RULES:
            raise UsageError(
                f"faults of the network need {rules} rules in a block, there is room for {MAX_RULES}",
                "let them come more rarely, strike fewer servers, or use more blocks",
            )


def by_programs(act: Act) -> bool:
    """Whether the hedger's programs bring it about."""
    return isinstance(act.fault, NetworkFault) and act.fault.model == "ebpf"


class Netem:
    """A rule for the qdisc netem at the client's interface, put there and taken away at its times."""

    def apply(self, act: Act, scene: Scene) -> None:
        """Arranges it."""
        fault: Any = act.fault
        rule: dict[str, Any] = {"kind": fault.fault, "percent": percent_of(act)}
        if isinstance(fault, Delay | Reorder):
            rule["delay_ns"] = fault.delay_ns
        if isinstance(fault, RateLimit):
            rule["rate_bit_per_s"] = fault.rate_bit_per_s
        scene.netem(act, **rule)

    def undo(self, act: Act, scene: Scene) -> None:  # noqa: ARG002 (one for all)
        """All rules of the block are taken back at once."""
        scene.end_netem()

    def proof(self, act: Act, scene: Scene) -> Proof:
        """The qdisc was there for its time and had packets; which of them it struck it does not tell."""
        problem = act.shortfall(scene.start_ns, scene.finished_ns)
        packets = act.evidence.get("packets", 0) + act.evidence.get("drops", 0)
        expected = sum(1 for _ in asked_of(scene.scenario, act))
        evidence = {**act.evidence, "expected_primaries": expected}
        if problem is None and expected and not packets:
            problem = f"no packet came to the qdisc, of {expected} requests that were to"
        return Proof(problem is None, problem or f"{packets} packets came to the qdisc", evidence)


def directions_of(act: Act) -> tuple[str, ...]:
    """Which copies it strikes, one direction at a time."""
    fault: Any = act.fault
    return ("requests", "responses") if fault.direction == "both" else (fault.direction,)


def percent_of(act: Act) -> float:
    """The chance of a copy to be struck, in percent."""
    return float(getattr(act.fault, "percent", _CERTAIN))
