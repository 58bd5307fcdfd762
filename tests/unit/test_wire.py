"""Places of ids and addresses: read strictly, refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedgerow_node.addresses import format_endpoint, parse_endpoint
from hedgerow_node.control import ControlError
from hedgerow_node.protocol.codec import read
from hedgerow_node.wire import IdPlace, RequestIdPlaces, parse_place


def test_places_of_ids() -> None:
    assert parse_place("12:2") == IdPlace(12, 2)
    places = read(RequestIdPlaces, {"request": {"offset": 0, "length": 4}, "response": {"offset": 8, "length": 2}})
    assert places == RequestIdPlaces(IdPlace(0, 4), IdPlace(8, 2))
    # A response is as long as its request and has two bytes after its id.
    assert places.shortest_request == 12
    for text in ("0", "0:0", "0:9", "a:b", "-1:4", "65506:2", "1:2:3"):
        with pytest.raises(ValueError, match=r"place|bytes|offset"):
            parse_place(text)
    with pytest.raises(ControlError, match="'response' is missing"):
        read(RequestIdPlaces, {"request": {"offset": 0, "length": 4}})


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
