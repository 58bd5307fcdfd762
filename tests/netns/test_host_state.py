"""The picture that tests compare sees whatever of ours is left on a host, and nothing that others bring about."""

from __future__ import annotations

import ctypes
import os
import secrets
import struct
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from hedgerow_hedger.delay_link import QDISC_HANDLE, link_names
from hedgerow_hedger.programs import Build, KernelPrograms
from orchestrator.host.namespaces import create, delete
from support.bpf_objects import NAME_SIZE, Kind, bpf, held
from support.host_state import LANE, assert_as_before, host_state

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

_BPF_MAP_CREATE, _BPF_PROG_LOAD = 0, 5
_ARRAY, _SCHED_CLS = 2, 3
#: r0 = 0; exit
_RETURN_0 = bytes([0xB7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0])


def name(text: str) -> bytes:
    return text.encode().ljust(NAME_SIZE, b"\0")


@contextmanager
def loaded(program: str, map_: str) -> Iterator[tuple[int, int]]:
    """A program and a map of these names that nobody attached: their ids."""
    held_programs, held_maps = held(Kind.PROGRAM), held(Kind.MAP)
    code, licence = ctypes.create_string_buffer(_RETURN_0), ctypes.create_string_buffer(b"GPL")
    addresses = (ctypes.addressof(code), ctypes.addressof(licence))
    descriptors = [
        bpf(_BPF_PROG_LOAD, struct.pack("IIQQIIQII16s", _SCHED_CLS, 2, *addresses, 0, 0, 0, 0, 0, name(program))),
        bpf(_BPF_MAP_CREATE, struct.pack("IIIIIII16s", _ARRAY, 4, 4, 1, 0, 0, 0, name(map_))),
    ]
    try:
        (program_id,), (map_id,) = held(Kind.PROGRAM) - held_programs, held(Kind.MAP) - held_maps
        yield program_id, map_id
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


@contextmanager
def link(near: str, far: str) -> Iterator[str]:
    """A veth pair of these names in the host's own network."""
    subprocess.run(["ip", "link", "add", near, "type", "veth", "peer", "name", far], check=True)
    try:
        subprocess.run(["ip", "link", "set", near, "up"], check=True)
        yield near
    finally:
        subprocess.run(["ip", "link", "delete", near], check=True)


def test_all_programs_and_maps_of_a_hedger_are_seen() -> None:
    before, held_programs, held_maps = host_state(), held(Kind.PROGRAM), held(Kind.MAP)
    programs = KernelPrograms(Build("clone", testbed=True))
    try:
        bcc = programs._bpf
        bcc.load_funcs(bcc.SCHED_CLS)
        mine = {"programs": held(Kind.PROGRAM) - held_programs, "maps": held(Kind.MAP) - held_maps}
        seen = host_state().difference(before)
    finally:
        programs.close()
    assert min(map(len, mine.values())) > 5
    assert seen == mine
    assert_as_before(before)


def test_objects_of_our_names_are_seen_whoever_loaded_them_and_others_are_not() -> None:
    before = host_state()
    with loaded("sd_devices", "sd_something"):
        assert host_state().difference(before) == {}
    with loaded("splitter", "scoreboard_map") as (program, map_):
        assert host_state().difference(before) == {"programs": {program}, "maps": {map_}}


def test_a_delay_line_is_seen() -> None:
    before = host_state()
    near, far = link_names(secrets.token_hex(3))
    with link(near, far):
        subprocess.run(["tc", "qdisc", "add", "dev", near, "root", "handle", f"{QDISC_HANDLE:x}:", "htb"], check=True)
        new = host_state().difference(before)
    assert new["links"] == {near, far}
    assert f"{near} htb {QDISC_HANDLE:x}:" in new["qdiscs"]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("qdisc", "seen"),
    [
        ("clsact", "clsact ffff:"),
        ("root handle 4ef: htb", "htb 4ef:"),
        ("root handle 4ed: htb", "htb 4ed:"),
        ("root handle 7: htb", None),
    ],
)
def test_on_somebody_elses_link_only_a_qdisc_that_may_be_ours_is_seen(qdisc: str, seen: str | None) -> None:
    before, token = host_state(), secrets.token_hex(3)
    with link(f"o{token}a", f"o{token}b") as near:
        assert host_state().difference(before) == {}
        subprocess.run(["tc", "qdisc", "add", "dev", near, *qdisc.split()], check=True)
        assert host_state().difference(before) == ({} if seen is None else {"qdiscs": {f"{near} {seen}"}})


def test_a_namespace_is_seen_by_its_mark() -> None:
    before, token = host_state(), secrets.token_hex(3)
    for namespace, seen in ((f"hr-{token}-client", True), (f"other-{token}", False)):
        create(namespace)
        try:
            assert host_state().difference(before) == ({"namespaces": {namespace}} if seen else {})
        finally:
            delete(namespace)


def test_what_is_left_fails_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LANE, raising=False)  # .ci/test has this file run where no other lane loads programs
    monkeypatch.setattr("support.host_state._SETTLE_S", 0.0)
    before = host_state()
    with loaded("splitter", "scoreboard_map"), pytest.raises(AssertionError, match=r"left behind: .*programs"):
        assert_as_before(before)
