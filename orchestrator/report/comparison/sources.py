"""What a comparison reads of a run: its manifest, its scenario as it was written down, and its summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from orchestrator.errors import RunError
from orchestrator.runfolder.format_versions import read_json

if TYPE_CHECKING:
    from orchestrator.runfolder.folder import RunFolder


@dataclass(frozen=True)
class Source:
    """One of the two runs.

    `scenario` is plain data and not the model: an old run's scenario can be compared even where this version would
    refuse to run it.
    """

    folder: RunFolder
    manifest: dict[str, Any]
    scenario: dict[str, Any]
    summary: dict[str, Any]

    @property
    def arms(self) -> dict[str | None, dict[str, Any]]:
        """The figures of each arm by its name; those of a run without arms under None."""
        found = self.summary.get("arms", [{**self.summary, "name": None}])
        return {arm["name"]: arm for arm in found}

    @property
    def claims(self) -> dict[tuple[str | None, str], dict[str, Any]]:
        """Every claim by arm and id; those across arms, and those of a run without arms, under None."""
        across = self.summary["claims"] if "arms" in self.summary else []
        by_arm = [(name, claim) for name, arm in self.arms.items() for claim in arm["claims"]]
        return {(arm, claim["id"]): claim for arm, claim in [*by_arm, *((None, claim) for claim in across)]}


def read_source(folder: RunFolder) -> Source:
    """What the run in `folder` left; RunError where it did not finish, or a file is torn or of a later format."""
    remedy = f"orchestrator analyze {folder.path} makes the summary of a run that was measured"
    return Source(
        folder,
        manifest=read_json(folder.manifest, "is this the folder of a run?"),
        scenario=_scenario(folder),
        summary=read_json(folder.summary, remedy),
    )


def _scenario(folder: RunFolder) -> dict[str, Any]:
    try:
        content = yaml.safe_load(folder.scenario.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunError(f"{folder.scenario} cannot be read: {error}", "is this the folder of a run?") from error
    return content if isinstance(content, dict) else {}
