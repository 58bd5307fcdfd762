"""A path that lets nothing through ends the run within seconds, whichever way it is closed, and whenever."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from orchestrator.host.audit import namespace_name
from orchestrator.host.namespaces import DIRECTORY
from support.dying_run import ENDLESS, DyingRun
from support.fault_run import write_fault_scenario
from support.scenario_files import finish, start_run, wait_for, write_scenario

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

#: What closes the path, as `ip` and `tc` are told in the namespace of the bridge.
BRIDGE_DELETED = "ip link del bridge0"
LINK_DOWN = "ip link set server0 down"
CLIENTS_LINK_DOWN = "ip link set client down"
REQUESTS_DROPPED = "tc qdisc replace dev server0 root tbf rate 8bit burst 1 latency 1ms"
#: All but ARP, which would keep the requests from leaving: frames of more than 80 bytes.
RESPONSES_DROPPED = "tc qdisc replace dev client root tbf rate 1mbit burst 80 latency 1ms"


class DyingInNamespaces(DyingRun):
    """A run between namespaces, whose bridge has one of its own."""

    @property
    def bridge(self) -> str:
        """The name of the bridge's namespace."""
        return namespace_name(self.token, "bridge")

    def wait_for_bridge(self, links: int = 2) -> None:
        """Until all links are there; the hedger's programs are compiled after that."""
        path = DIRECTORY / self.bridge
        wait_for(lambda: path.exists() and self._links() == links, "the bridge's links", self.process)

    def close_path(self, how: str) -> None:
        """By a command in the namespace of the bridge."""
        self.close_by("ip", "netns", "exec", self.bridge, *how.split())

    def _links(self) -> int:
        """How many ports of the bridge are up."""
        command = ["ip", "netns", "exec", self.bridge, "ip", "-o", "link", "show", "master", "bridge0"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        return len([line for line in done.stdout.splitlines() if "state UP" in line])


@pytest.mark.parametrize("how", [BRIDGE_DELETED, LINK_DOWN, REQUESTS_DROPPED, RESPONSES_DROPPED])
def test_a_path_that_is_closed_before_the_first_block_ends_the_run_in_its_warm_up(how: str, tmp_path: Path) -> None:
    run = DyingInNamespaces(write_scenario(tmp_path, **ENDLESS), tmp_path / "results")
    run.wait_for_bridge()
    run.close_path(how)
    run.assert_ended_in_the_first_warm_up(reached=how == RESPONSES_DROPPED)


@pytest.mark.parametrize(
    ("strategy", "how"),
    [
        *(("baseline", how) for how in (BRIDGE_DELETED, CLIENTS_LINK_DOWN, REQUESTS_DROPPED, RESPONSES_DROPPED)),
        *((strategy, RESPONSES_DROPPED) for strategy in ("app-native", "app-asyncio", "proxy", "kernel")),
    ],
)
def test_a_path_that_is_closed_in_the_middle_of_a_block_discards_it_and_ends_the_run(
    strategy: str, how: str, tmp_path: Path
) -> None:
    scenario = write_scenario(tmp_path, **ENDLESS, strategies=strategy, claims="  []")
    run = DyingInNamespaces(scenario, tmp_path / "results")
    run.wait_for_block(0)
    time.sleep(2)
    run.close_path(how)
    message = run.end()["message"]
    assert f"block 0 ({strategy})" in message
    reasons = [entry["reasons"] for entry in run.manifest()["discarded"]]
    assert "warm-up" not in reasons[0][0]
    if how != CLIENTS_LINK_DOWN:
        assert ["warm-up" in reason[0] for reason in reasons[1:]] == [True, True]


def test_a_partition_that_is_declared_is_waited_for(tmp_path: Path) -> None:
    """It lasts for several times what the client would wait otherwise; what comes after it is measured."""
    partition = "fault: partition, target: servers, at: 500ms, duration: 4s"
    scenario = write_fault_scenario(tmp_path, partition, requests=1200, timeout="300ms")
    finished = finish(start_run(scenario, tmp_path / "results", "--json", "--no-report"))
    assert finished.code in (0, 3), finished.errors
    assert finished.manifest["discarded"] == []
    assert finished.summary["strategies"]["baseline"]["timeouts"] > 500


def test_a_path_that_is_closed_during_a_declared_loss_is_noticed_all_the_same(tmp_path: Path) -> None:
    """A loss of 5 % cannot explain that everything is lost."""
    loss = "fault: loss, target: servers, percent: 5%"
    scenario = write_fault_scenario(tmp_path, loss, requests=6000, timeout="300ms")
    run = DyingInNamespaces(scenario, tmp_path / "results")
    run.wait_for_block(0)
    time.sleep(3)
    run.close_path(RESPONSES_DROPPED)
    assert "no declared fault explains it" in run.end()["message"]


def test_one_server_of_several_that_nothing_reaches_ends_the_run(tmp_path: Path) -> None:
    stall = "fault: stall, target: server-0, at: 100ms, duration: 100ms, delay: 5ms, when: id % 2 == 0"
    scenario = write_fault_scenario(tmp_path, stall, requests=200, timeout="300ms")
    run = DyingInNamespaces(scenario, tmp_path / "results")
    run.wait_for_bridge(links=4)
    run.close_path("ip link set server1 down")
    assert "no request reached server-1" in run.end()["message"]
