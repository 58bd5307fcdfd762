"""The hedger on stock kernels, Linux 5.10, 6.1 and 6.12, in simulated time: its programs, its delay lines, a run.

This host's kernel may have no netem, and no host keeps time well enough to assert microseconds. The virtual machines
have both: every kernel of a stock distribution, and a clock that counts instructions.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kernels.fetch import KERNELS
from kernels.fleet import ALLOWED_S, CHECKOUT, SMOKE_LINES, TWO_CPUS
from kernels.machine import Ending
from kernels.written_down import LATENESS, PER_RUN, VERIFIED, table
from support.engines import ENGINES_AND_LINES, VARIANTS

if TYPE_CHECKING:
    from kernels.guest import Guest, SmokeRun

STALLED = {request_id for request_id in range(500) if request_id % 100 < 2}  #: as scenarios/smoke.yaml has it
MAX_LATENESS_NS = 100_000
FIGURES = CHECKOUT / ".cache" / "tests" / "verifier.json"
LINES = ["-".join(each) for each in ENGINES_AND_LINES]

pytestmark = [pytest.mark.root, pytest.mark.timeout(ALLOWED_S + 240)]


@pytest.fixture(params=KERNELS)
def series(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def guest(guests: dict[str, Guest], series: str) -> Guest:
    return guests[series]


@pytest.fixture(params=SMOKE_LINES)
def smoke(request: pytest.FixtureRequest, guests: dict[str, Guest]) -> SmokeRun:
    guest = guests[request.param]
    step = guest.step("smoke")
    assert step.exit_code == 0, f"smoke did not run:\n{step}\n{guest.outcome}"
    return guest.run()


def test_the_machine_ran_the_kernel_it_is_named_after(guest: Guest, series: str) -> None:
    assert guest.outcome.ending is Ending.FINISHED, str(guest.outcome)
    assert guest.step("kernel").log.startswith(f"{series}."), str(guest.outcome)


def test_the_kernel_has_nothing_to_complain_of(guest: Guest) -> None:
    complaints = [line for line in guest.outcome.kernel_log.splitlines() if "WARNING:" in line or "BUG:" in line]
    assert complaints == [], str(guest.outcome)


def test_what_runs_inside_passes(guest: Guest) -> None:
    """Programs, lateness with every engine and clock, VLANs, faults by netem and by eBPF, control groups."""
    step = guest.step("tests")
    assert step.exit_code == 0, f"{step}\n{guest.outcome}"


def test_of_answers_on_two_processors_at_once_one_wins(guests: dict[str, Guest]) -> None:
    outcome = guests[TWO_CPUS].outcome
    assert (outcome.ending, outcome.exit_code) == (Ending.FINISHED, 0), str(outcome)


def test_figures_are_shown_and_kept(guests: dict[str, Guest], capsys: pytest.CaptureFixture[str]) -> None:
    """Instructions, the verifier's and those of each run, and lateness, for every kernel and variant."""
    kept = {
        kind: {series: guests[series].figures(kind) for series in KERNELS} for kind in (VERIFIED, PER_RUN, LATENESS)
    }
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    for kind, subjects in ((VERIFIED, [*VARIANTS]), (PER_RUN, [*VARIANTS]), (LATENESS, LINES)):
        for series, figures in kept[kind].items():
            assert sorted(figures) == sorted(subjects), (kind, series)
    with capsys.disabled():
        print("", *table(kept), f"all of it: {FIGURES.relative_to(CHECKOUT)}", sep="\n")


def test_the_delay_line_asked_for_is_the_one_used(guests: dict[str, Guest]) -> None:
    runs = {series: guests[series].run() for series in SMOKE_LINES}
    assert {series: run.manifest["delay_line"] for series, run in runs.items()} == SMOKE_LINES
    assert {series: run.summary["delay_line"] for series, run in runs.items()} == SMOKE_LINES


def test_every_stalled_request_is_hedged(smoke: SmokeRun) -> None:
    assert {copy["request_id"] for copy in smoke.copies if copy["action"] == "stalled"} == STALLED
    assert {hedge["request_id"] for hedge in smoke.hedges} >= STALLED


def test_whatever_is_hedged_was_unanswered_at_its_deadline(smoke: SmokeRun) -> None:
    in_time = [
        hedge["request_id"]
        for hedge in smoke.hedges
        if hedge["first_response_ns"] is not None and hedge["first_response_ns"] <= hedge["deadline_ns"]
    ]
    assert in_time == []


def test_the_server_receives_the_requests_and_their_hedges_and_no_copy_more(smoke: SmokeRun) -> None:
    assert len(smoke.copies) == len(smoke.requests) + len(smoke.hedges)
    assert len(smoke.requests) == 500


def test_the_client_receives_every_answer_once(smoke: SmokeRun) -> None:
    assert {row["outcome"] for row in smoke.requests.values()} == {"answered"}
    assert {row["copies_received"] for row in smoke.requests.values()} == {1}


def test_every_hedge_leaves_within_100_microseconds_after_its_deadline_and_none_before(smoke: SmokeRun) -> None:
    lateness_ns = [hedge["departure_ns"] - hedge["deadline_ns"] for hedge in smoke.hedges]
    assert min(lateness_ns) >= 0
    assert max(lateness_ns) <= MAX_LATENESS_NS


def test_what_the_scenario_claims_of_the_kernel_holds(smoke: SmokeRun) -> None:
    # Not `lateness`: on a simulated machine with nothing else to do a user-space timer is as punctual as the kernel.
    verdicts = {claim["id"]: claim["verdict"] for claim in smoke.summary["claims"] if claim["id"] != "lateness"}
    assert set(verdicts.values()) == {"supported"}, verdicts
