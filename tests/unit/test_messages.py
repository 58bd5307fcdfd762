"""Fields of control messages, places of ids and addresses: read strictly, refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgerow_node.addresses import format_endpoint, parse_endpoint
from hedgerow_node.control import ControlError
from hedgerow_node.fields import Fields
from hedgerow_node.wire import IdPlace, RequestIdPlaces, parse_place, read_places

if TYPE_CHECKING:
    from collections.abc import Callable


def test_fields_are_read_by_their_kind() -> None:
    fields = Fields({"n": 3, "x": 0.5, "t": "a", "b": False, "list": [1], "in": {"m": 1}, "none": None})
    assert (fields.integer("n"), fields.number("x", 0), fields.number("n", 0)) == (3, 0.5, 3.0)
    assert (fields.text("t", "a", "b"), fields.boolean("b"), fields.listing("list")) == ("a", False, [1])
    assert fields.section("in").integer("m") == 1
    listed = Fields({"of": {"rules": [{"n": 1}, {"n": 2}]}}).section("of").sections("rules")
    assert [entry.integer("n") for entry in listed] == [1, 2]
    assert "n" in fields
    assert "none" not in fields
    assert "missing" not in fields


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda fields: fields.integer("missing"), "field 'missing' is missing"),
        (lambda fields: fields.integer("none"), "field 'none' is missing"),
        (lambda fields: fields.integer("t"), "field 't' is 'a', expected an integer"),
        (lambda fields: fields.integer("x"), "field 'x' is 0.5, expected an integer"),
        (lambda fields: fields.integer("b"), "field 'b' is True, expected an integer"),
        (lambda fields: fields.integer("n", 4), "field 'n' is 3, expected at least 4"),
        (lambda fields: fields.integer("n", 0, 2), "field 'n' is 3, expected at least 0 and at most 2"),
        (lambda fields: fields.number("b", 0), "field 'b' is True, expected a number, at least 0"),
        (lambda fields: fields.number("x", 1), "field 'x' is 0.5, expected a number, at least 1"),
        (lambda fields: fields.number("nan", 0), "field 'nan' is nan, expected a number, at least 0"),
        (lambda fields: fields.text("t", "b", "c"), "field 't' is 'a', expected one of b, c"),
        (lambda fields: fields.boolean("n"), "field 'n' is 3, expected true or false"),
        (lambda fields: fields.section("n"), "field 'n' is 3, expected an object"),
        (lambda fields: fields.section("in").integer("m"), "field 'in.m' is 'deep', expected an integer"),
        (lambda fields: fields.section("in").listing("l"), "field 'in.l' is missing"),
        (lambda fields: fields.sections("ls")[0].integer("m"), "field 'ls.0.m' is 'x', expected an integer"),
        (lambda fields: fields.sections("l"), "field 'l.1' is 7, expected an object"),
    ],
)
def test_a_wrong_field_is_refused_by_name(read: Callable[[Fields], Any], message: str) -> None:
    lists = {"l": [{}, 7], "ls": [{"m": "x"}]}
    plain = {"n": 3, "x": 0.5, "t": "a", "b": True, "nan": float("nan"), "none": None}
    fields = Fields({**plain, **lists, "in": {"m": "deep"}})
    with pytest.raises(ControlError) as caught:
        read(fields)
    assert str(caught.value) == message


def test_places_of_ids() -> None:
    assert parse_place("12:2") == IdPlace(12, 2)
    places = read_places(
        Fields({"request": {"offset": 0, "length": 4}, "response": {"offset": 8, "length": 2}}),
    )
    assert places == RequestIdPlaces(IdPlace(0, 4), IdPlace(8, 2))
    # A response is as long as its request and has two bytes after its id.
    assert places.shortest_request == 12
    for text in ("0", "0:0", "0:9", "a:b", "-1:4", "65506:2", "1:2:3"):
        with pytest.raises(ValueError, match=r"place|bytes|offset"):
            parse_place(text)
    with pytest.raises(ControlError, match=r"'response\.offset' is missing|'response' is missing"):
        read_places(Fields({"request": {"offset": 0, "length": 4}}))


@given(st.ip_addresses(), st.integers(0, 0xFFFF))
def test_an_endpoint_reads_back_as_it_was_written(address: object, port: int) -> None:
    written = format_endpoint(str(address), port)
    assert parse_endpoint(written) == (str(address), port)


@pytest.mark.parametrize(
    "text",
    ["", "127.0.0.1", "127.0.0.1:", ":53", "::1:53", "[::1]", "127.0.0.1:65536", "localhost:53", "[127.0.0.1:5"],
)
def test_what_is_no_numeric_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"ADDRESS:PORT|numeric address"):
        parse_endpoint(text)
