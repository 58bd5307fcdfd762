"""The parser's short cut finds what the parser finds, or nothing: on frames of every kind, and on damaged ones."""

from __future__ import annotations

import ctypes
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hedgerow_hedger.headers import stub_kernel_tree
from hedgerow_hedger.programs import BPF_SOURCES, inline_sources
from support.datagrams import UNDERSTOOD
from support.kernel_bench import private_network, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.frames import Datagram

SOURCE = Path(__file__).parent / "programs" / "both_parsers.c"
SHORTEST = 54  #: that BPF_PROG_TEST_RUN takes of every kind
OTHERWISE = ("option", "VLAN", "header")  #: in the names of what the short cut leaves to the parser


class BothParsers:
    """The test's own program, with the parsers of the hedger."""

    def __init__(self, bpf: Any) -> None:
        self._bpf, self._fd = bpf, bpf.load_func(b"both_parsers", bpf.SCHED_CLS).fd

    def look_for(self, offset: int, length: int) -> None:
        """Where an id is."""
        field = self._bpf[b"field_map"].Leaf()
        field.offset, field.length = offset, length
        self._bpf[b"field_map"][ctypes.c_int(0)] = field

    def results(self, frame: bytes, **context: int) -> tuple[Any, Any]:
        """What the short cut made of it, and what the parser made of it."""
        run(self._fd, frame, **context)
        table = self._bpf[b"outcome_map"]
        return table[ctypes.c_int(0)], table[ctypes.c_int(1)]


@pytest.fixture(scope="module")
def parsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BothParsers]:
    from bcc import BPF  # noqa: PLC0415 - only as root

    beside = tmp_path_factory.mktemp("sources")
    for header in BPF_SOURCES.glob("*.h"):
        (beside / header.name).symlink_to(header)
    (beside / SOURCE.name).write_text(SOURCE.read_text())
    with private_network(), stub_kernel_tree():
        bpf = BPF(text=inline_sources(beside / SOURCE.name).encode(), cflags=["-Wno-macro-redefined", "-DLANES=256"])
        yield BothParsers(bpf)
        bpf.cleanup()


def damaged(frame: bytes, dice: random.Random) -> bytes:
    """With some bytes of its headers changed, or its end cut off."""
    changed = bytearray(frame)
    for _ in range(dice.randrange(4)):
        changed[dice.randrange(12, min(len(frame), 70))] = dice.choice([0, 1, 4, 5, 8, 17, 0x20, 0x45, 0x60, 0xFF])
    keep = dice.choice(
        [len(frame), dice.randrange(SHORTEST, len(frame) + 1) if len(frame) > SHORTEST else len(frame)]
    )
    return bytes(changed[:keep])


def with_another_payload(datagram: Datagram, dice: random.Random) -> Datagram:
    return replace(datagram, payload=dice.randbytes(dice.randrange(20, 300)))


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_whole_frames(parsers: BothParsers, name: str) -> None:
    parsers.look_for(0, 4)
    direct, copied = parsers.results(UNDERSTOOD[name].frame())
    assert copied.found
    assert copied.has_id
    assert bool(direct.found) == (not any(word in name for word in OTHERWISE))
    if direct.found:
        assert bytes(direct) == bytes(copied)


@pytest.mark.parametrize("seed", range(10))
def test_random_frames(parsers: BothParsers, seed: int) -> None:
    dice = random.Random(seed)
    found = 0
    for _ in range(400):
        parsers.look_for(dice.choice([0, 1, 3, 8, 150, 240, 500]), dice.choice([1, 2, 3, 4, 5, 8, 9]))
        frame = with_another_payload(dice.choice([*UNDERSTOOD.values()]), dice).frame()
        direct, copied = parsers.results(damaged(frame, dice), gso_size=dice.choice([0] * 9 + [100]))
        if not direct.found:
            continue
        found += 1
        if not direct.has_id:  # it may leave that to the parser
            copied.has_id, copied.id = 0, 0
        assert bytes(direct) == bytes(copied)
    assert found > 40
