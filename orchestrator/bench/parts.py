"""The parts of the bench by name, measured one after the other; what this host lacks is named and left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.bench import dns, hooks, lateness, stalls
from orchestrator.bench.hedgers import offered
from orchestrator.bench.services import fetch
from orchestrator.bench.setting import Setting
from orchestrator.bench.stage import Stage
from orchestrator.errors import PrerequisiteError
from orchestrator.host.audit import remaining
from orchestrator.host.live import LiveRun, clear_dead_runs
from orchestrator.run.ending import Ending
from orchestrator.run.interrupts import Interrupts
from orchestrator.run.progress import PlainLines
from orchestrator.runfolder.folder import RUN_NAME
from orchestrator.runfolder.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.bench.extent import Extent
    from orchestrator.bench.rows import Row
    from orchestrator.runfolder.folder import RunFolder

    Measure = Callable[[Setting], Sequence[Row]]

PARTS: dict[str, Measure] = {
    "hooks": hooks.measure,
    "dns": dns.measure,
    "lateness": lateness.measure,
    "stalls": stalls.measure,
}


@dataclass
class Measured:
    """The results of each part, and why parts and engines were left out."""

    results: dict[str, Sequence[Row]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)  #: what still has the bench's id; empty as it should be


def measure(names: Sequence[str], extent: Extent, folder: RunFolder) -> Measured:
    """Measures the parts `names` of PARTS; `folder` gets journal, configurations and what programs print.

    Raises Interrupted, RunError, PrerequisiteError or an unexpected exception; the host is given back in each case.
    """
    clear_dead_runs()
    found, watch = Measured(), PlainLines(())
    name = RUN_NAME.fullmatch(folder.name)
    if name is None:
        raise ValueError(f"{folder.name} is not a valid name of a run folder")
    live, journal, ending = LiveRun(name["token"]), Journal(folder.journal), Ending(watch)
    with Interrupts() as interrupts:
        stage = Stage(live, journal, folder)
        with ending.step(), interrupts.shielded_after():
            live.open(folder.journal)
            _measure(names, extent, stage, found, watch.say)
        with ending.step():
            stage.down()
        ending.audited(remaining(live.run_id))
        found.leftovers = ending.leftovers
        with ending.step():
            (live.release if found.leftovers else live.close)()
        with ending.step():
            journal.close()
        ending.conclude(interrupts.remembered)
    return found


def _measure(names: Sequence[str], extent: Extent, stage: Stage, found: Measured, say: Callable[[str], None]) -> None:
    try:
        services = fetch()
    except PrerequisiteError as error:
        found.left_out.update(dict.fromkeys(names, error.message))
        return
    stage.up()
    engines, refused = offered(stage)
    found.left_out.update({f"engine {engine}": reason for engine, reason in refused.items()})
    if not engines:
        found.left_out.update(dict.fromkeys(names, "the hedger runs with no engine here"))
        return
    setting = Setting(stage, services, engines, extent, say)
    for name in names:
        try:
            found.results[name] = PARTS[name](setting)
        except PrerequisiteError as error:
            found.left_out[name] = error.message
