"""What a scenario file describes: one scenario, or its arms, variants that are run and reported side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from orchestrator.scenario.document import Plain
    from orchestrator.scenario.models import Claim, Scenario


@dataclass(frozen=True)
class Arm:
    """One variant: `set` is what it has of its own, by dotted key; `name` is None where there are no arms.

    `scenario` is complete, and holds the claims that are judged within this arm alone.
    """

    name: str | None
    set: dict[str, Plain]
    scenario: Scenario


@dataclass(frozen=True)
class Experiment:
    """All that a scenario file asks for: its arms, and the `claims` that are judged across them.

    `document` is the file's data with every default of the base filled in, smoke and `--set` applied.
    """

    name: str
    description: str
    arms: tuple[Arm, ...]
    claims: tuple[Claim, ...]
    document: dict[str, Plain]

    @classmethod
    def of(cls, scenario: Scenario) -> Experiment:
        """The experiment that `scenario` is by itself: a single arm without a name."""
        return cls(scenario.name, scenario.description, (Arm(None, {}, scenario),), (), scenario.as_document())

    @property
    def scenario(self) -> Scenario:
        """The first arm's scenario, for what is the same in all of them."""
        return self.arms[0].scenario

    @property
    def has_arms(self) -> bool:
        """Whether there are arms by name."""
        return self.arms[0].name is not None

    @property
    def matrix(self) -> dict[str, Plain]:
        """The values of each key that the arms sweep, outermost first; empty where they are no matrix."""
        matrix = self.document.get("matrix")
        return matrix if isinstance(matrix, dict) else {}

    def arm(self, name: str | None) -> Arm:
        """The arm called `name`; KeyError where there is none."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)

    def dump(self) -> str:
        """The experiment as YAML, defaults written out; `load_experiment` makes an equal one of it."""
        return yaml.safe_dump(self.document, sort_keys=False, allow_unicode=True, width=118)
