"""Control messages: what a dataclass says is what its JSON holds, and everything else is refused by name."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple

import pytest

from hedgerow_node.control import ControlError
from hedgerow_node.protocol import AtLeast, Between, Message, OneOf, wire_key


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Place(NamedTuple):
    offset: int
    length: Annotated[int, Between(1, 8)] = 4

    def checked(self) -> Place:
        if self.offset % 2:
            raise ValueError(f"an odd offset of {self.offset}")
        return self


@dataclass(frozen=True)
class Closed(Message):
    users: Annotated[int, AtLeast(1)]
    mode: Literal["closed"] = "closed"


@dataclass(frozen=True)
class Open(Message):
    rate_per_s: float
    mode: Literal["open"] = "open"


@dataclass(frozen=True)
class Everything(Message):
    name: Annotated[str, OneOf("one", "two")]
    count: int
    share: Annotated[float, Between(0, 100)]
    on: bool
    colour: Colour
    servers: tuple[tuple[str, int], ...]
    place: Place
    arrivals: Closed | Open
    weights: dict[str, float] = field(default_factory=dict)
    until_ns: Annotated[int, AtLeast(1)] | None = None
    collections: tuple[int, ...] = field(default=(), metadata=wire_key("gc"))


SENT: dict[str, Any] = {
    "name": "one",
    "count": 3,
    "share": 2.5,
    "on": True,
    "colour": "blue",
    "servers": [["10.0.0.1", 9000], ["::1", 9001]],
    "place": {"offset": 2, "length": 4},
    "arrivals": {"rate_per_s": 500.0, "mode": "open"},
    "weights": {"a": 1.0},
    "until_ns": None,
    "gc": [1, 2],
}


def read(**changes: object) -> Everything:
    return Everything.from_json(json.loads(json.dumps(SENT | changes)))


def test_a_message_is_read_as_it_was_sent() -> None:
    message = read()
    assert message == Everything(
        "one",
        3,
        2.5,
        True,
        Colour.BLUE,
        (("10.0.0.1", 9000), ("::1", 9001)),
        Place(2),
        Open(500.0),
        {"a": 1.0},
        None,
        (1, 2),
    )
    assert message.to_json() == SENT
    assert json.loads(json.dumps(message.to_json())) == SENT


def test_null_and_nothing_are_the_default() -> None:
    message = read(weights=None, gc=None, place={"offset": 0})
    assert (message.weights, message.until_ns, message.collections, message.place) == ({}, None, (), Place(0, 4))


def test_what_belongs_to_the_request_is_not_the_message_s() -> None:
    assert read(id=7, do="everything") == read()


def test_an_integer_is_a_number_and_becomes_one() -> None:
    share = read(share=3).share
    assert (share, type(share)) == (3.0, float)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": None}, "field 'name' is missing"),
        ({"name": "three"}, "field 'name' is 'three', expected one of one, two"),
        ({"name": 1}, "field 'name' is 1, expected a text"),
        ({"count": True}, "field 'count' is True, expected an integer"),
        ({"count": 1.5}, "field 'count' is 1.5, expected an integer"),
        ({"share": "much"}, "field 'share' is 'much', expected a number"),
        ({"share": 101}, "field 'share' is 101, expected at least 0 and at most 100"),
        ({"share": float("nan")}, "field 'share' is nan, expected a number"),
        ({"on": 1}, "field 'on' is 1, expected true or false"),
        ({"colour": "green"}, "field 'colour' is 'green', expected one of red, blue"),
        ({"colour": []}, "field 'colour' is [], expected one of red, blue"),
        ({"servers": "all"}, "field 'servers' is 'all', expected a list"),
        ({"servers": [["::1", 1], ["::1"]]}, "field 'servers.1' is ['::1'], expected a list of 2"),
        ({"servers": [["::1", "1"]]}, "field 'servers.0.1' is '1', expected an integer"),
        ({"place": [0, 4]}, "field 'place' is [0, 4], expected an object"),
        ({"place": {"length": 4}}, "field 'place.offset' is missing"),
        ({"place": {"offset": 0, "length": 9}}, "field 'place.length' is 9, expected at least 1 and at most 8"),
        ({"arrivals": {}}, "field 'arrivals.mode' is missing"),
        ({"arrivals": {"mode": "half"}}, "field 'arrivals.mode' is 'half', expected one of closed, open"),
        ({"arrivals": {"mode": "closed", "users": 0}}, "field 'arrivals.users' is 0, expected at least 1"),
        ({"weights": {"a": "b"}}, "field 'weights.a' is 'b', expected a number"),
        ({"until_ns": 0}, "field 'until_ns' is 0, expected at least 1"),
        ({"gc": [1, None]}, "field 'gc.1' is None, expected an integer"),
        ({"more": 1}, "unknown field 'more'"),
        ({"arrivals": {"mode": "open", "rate_per_s": 1, "users": 2}}, "unknown field 'arrivals.users'"),
        ({"place": {"offset": 0, "id": 1}}, "unknown field 'place.id'"),
    ],
)
def test_what_is_wrong_is_refused_by_name(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ControlError) as refused:
        read(**changes)
    assert str(refused.value) == complaint


def test_a_type_may_check_itself() -> None:
    with pytest.raises(ValueError, match="an odd offset of 3"):
        read(place={"offset": 3})


def test_what_has_no_form_in_json_is_refused_on_both_sides() -> None:
    @dataclass(frozen=True)
    class Strange(Message):
        value: complex

    with pytest.raises(TypeError, match="no form in a control message"):
        Strange(1j).to_json()
    with pytest.raises(TypeError, match="no form in a control message"):
        Strange.from_json({"value": 1})
