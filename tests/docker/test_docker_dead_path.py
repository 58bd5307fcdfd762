"""A firewall between the containers ends the run within seconds, as a path between namespaces that is closed does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from support.dying_run import ENDLESS, DyingRun
from support.engine_state import container, inspect
from support.scenario_files import wait_for, write_scenario

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

#: Where the firewall stands, and what it drops there, as iptables is told.
REQUESTS_DROPPED = "server", "--dport"
RESPONSES_DROPPED = "client", "--sport"


class DyingInContainers(DyingRun):
    """A run between containers. Its firewall is in the network namespace of one of them, and goes with it."""

    def close_path(self, service: str, port_option: str) -> None:
        """Drop UDP as it comes into the container of `service`, once that is there."""
        name = container(f"hedgerow-{self.token}", service)
        wait_for(lambda: inspect(name)["State"]["Running"], f"{service} to run", self.process)
        enter = ("nsenter", f"--net=/proc/{inspect(name)['State']['Pid']}/ns/net")
        self.close_by(*enter, "iptables", "--insert", "INPUT", "-p", "udp", port_option, "9000", "--jump", "DROP")


def scenario_of(directory: Path, strategy: str) -> Path:
    return write_scenario(directory, **ENDLESS, strategies=strategy, claims="  []")


@pytest.mark.parametrize("where", [REQUESTS_DROPPED, RESPONSES_DROPPED])
def test_a_firewall_that_is_there_from_the_start_ends_the_run_in_its_first_warm_up(
    where: tuple[str, str], tmp_path: Path
) -> None:
    run = DyingInContainers(scenario_of(tmp_path, "kernel"), tmp_path / "results", "docker")
    run.close_path(*where)
    run.assert_ended_in_the_first_warm_up(reached=where == RESPONSES_DROPPED)


def test_a_firewall_that_comes_in_the_middle_of_a_block_discards_it_and_ends_the_run(tmp_path: Path) -> None:
    run = DyingInContainers(scenario_of(tmp_path, "baseline"), tmp_path / "results", "docker")
    run.wait_for_block(0)
    time.sleep(2)
    run.close_path(*REQUESTS_DROPPED)
    assert "block 0 (baseline)" in run.end()["message"]
    reasons = [entry["reasons"] for entry in run.manifest()["discarded"]]
    assert ["warm-up" in reason[0] for reason in reasons] == [False, True, True]
