"""netem's rules of a block: made ready beforehand, put in force and taken back together, each change at its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.run.faults.acts import Act

Message = dict[str, Any]


class NetemRules:
    """`hedger` asks the hedger to do something and returns its answer, or raises ControlError."""

    def __init__(self, hedger: Callable[..., Message]) -> None:
        self._hedger = hedger
        self._planned: list[tuple[Act, Message]] = []
        self._wanted: dict[str, Message] = {}  #: by name of act
        self._in_force: dict[str, Message] = {}
        self._is_prepared = False

    def add(self, act: Act, rule: Message) -> None:
        """There will be this rule while `act` is on."""
        self._planned.append((act, {"key": act.name, "replica": act.replica, **rule}))

    def prepare(self) -> None:
        """Has the hedger make what the rules need, before there is any hurry. Raises ControlError."""
        if self._planned:
            self._is_prepared = True
            self._hedger("prepare-netem", phases=[{"rules": rules} for rules in self._phases()])

    def want(self, act: Act) -> None:
        """The act begins with the next `settle`."""
        self._wanted[act.name] = next(rule for planned, rule in self._planned if planned is act)

    def want_no_more(self, act: Act) -> None:
        """The act ends with the next `settle`."""
        del self._wanted[act.name]

    def settle(self) -> None:
        """Has the hedger put in force what is wanted by now, all changes at once. Raises ControlError."""
        before, now = self._in_force, dict(self._wanted)
        if now == before:
            return
        self._in_force = now
        answer = self._hedger("netem", rules=list(now.values()))
        for act, _ in self._planned:
            if act.name in now.keys() - before.keys():
                act.applied_ns = answer["at_ns"]
            elif act.name in before.keys() - now.keys():
                act.undone_ns = answer["at_ns"]
            # Every change ends a count: what was counted till then belongs to each act that was on.
            for was in answer["was"] if act.name in before else ():
                for counter in ("packets", "drops") if act.replica in was["replicas"] else ():
                    act.evidence[counter] = act.evidence.get(counter, 0) + was[counter]

    def end(self) -> None:
        """Takes all rules back, and what was made for them; once. Raises ControlError."""
        if self._is_prepared:
            self._is_prepared = False
            self._wanted = {}
            self.settle()
            self._hedger("prepare-netem", phases=[])

    def _phases(self) -> list[list[Message]]:
        """The rules that are to be in force together after each change; once where only acts' names differ."""
        times_ns = {act.occurrence.offset_ns for act, _ in self._planned}
        times_ns |= {act.occurrence.until_ns for act, _ in self._planned if act.occurrence.until_ns is not None}
        phases: list[list[Message]] = []
        known: list[list[Message]] = [[]]
        for time_ns in sorted(times_ns):
            rules = [rule for act, rule in self._planned if act.occurrence.span.contains(time_ns)]
            nameless = [rule | {"key": ""} for rule in rules]
            if nameless not in known:
                known.append(nameless)
                phases.append(rules)
        return phases
