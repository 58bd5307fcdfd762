"""Dataclasses to the JSON of files and back: what is left out, what may be missing, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import pytest

from orchestrator.runfolder.codec import (
    LEFT_OUT,
    MismatchError,
    decode,
    decode_one_of,
    encode,
    encode_object,
    key,
    written_if,
)


@dataclass(frozen=True)
class Dot:
    TAG: ClassVar = ("shape", "dot")
    size: int


@dataclass(frozen=True)
class Line:
    TAG: ClassVar = ("shape", "line")
    ends: tuple[float | None, float | None]


def is_big(drawing: Drawing) -> bool:
    return drawing.size > 10


@dataclass(frozen=True, kw_only=True)
class Drawing:
    size: int
    colour: Literal["red", "blue"] = "red"
    below: str = field(default="", metadata=key("under"))
    shapes: tuple[Dot | Line, ...] = ()
    notes: dict[str, object] = field(default_factory=dict, metadata=LEFT_OUT)
    weight: float | None = field(default=None, metadata=written_if(is_big))


WHOLE = Drawing(size=11, below="x", shapes=(Dot(1), Line((0.5, None))), notes={"a": [1, {"b": None}]}, weight=2)
WHOLE_JSON = {
    "size": 11,
    "colour": "red",
    "under": "x",
    "shapes": [{"shape": "dot", "size": 1}, {"shape": "line", "ends": [0.5, None]}],
    "notes": {"a": [1, {"b": None}]},
    "weight": 2,
}


def test_what_is_written_is_read() -> None:
    assert encode_object(WHOLE) == WHOLE_JSON
    assert decode(Drawing, WHOLE_JSON) == WHOLE


def test_keys_come_in_the_order_of_the_fields_and_the_tag_first() -> None:
    assert list(encode_object(WHOLE)) == list(WHOLE_JSON)
    assert list(encode_object(Dot(1))) == ["shape", "size"]


def test_fields_are_left_out_as_their_metadata_say() -> None:
    assert encode_object(Drawing(size=1, weight=5)) == {"size": 1, "colour": "red", "under": "", "shapes": []}
    assert "weight" in encode_object(Drawing(size=11))


def test_what_has_a_default_may_be_missing_and_what_is_unknown_is_ignored() -> None:
    assert decode(Drawing, {"size": 1, "later": True}) == Drawing(size=1)


def test_numbers_stay_what_they_were() -> None:
    drawing = decode(Drawing, {"size": 11, "weight": 2})
    assert repr(encode_object(drawing)["weight"]) == "2"


def test_values_that_are_not_objects_are_encoded_too() -> None:
    assert encode((Dot(1), [{"x": Dot(2)}])) == [{"shape": "dot", "size": 1}, [{"x": {"shape": "dot", "size": 2}}]]
    with pytest.raises(TypeError, match="is not a dataclass"):
        encode_object("x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "the record is [], expected an object"),
        ({}, "the record has no size"),
        ({"size": 1.5}, "size is 1.5, expected a whole number"),
        ({"size": True}, "size is True, expected a whole number"),
        ({"size": None}, "size is None, expected a whole number"),
        ({"size": 1, "colour": "green"}, "colour is 'green', expected one of red, blue"),
        ({"size": 1, "under": 1}, "under is 1, expected a text"),
        ({"size": 1, "weight": "2"}, "weight is '2', expected a number"),
        ({"size": 1, "notes": []}, "notes is [], expected an object"),
        ({"size": 1, "shapes": {}}, "shapes is {}, expected an array"),
        ({"size": 1, "shapes": [1]}, "shapes[0] is 1, expected an object"),
        ({"size": 1, "shapes": [{"shape": "dot"}]}, "shapes[0] has no size"),
        ({"size": 1, "shapes": [{"shape": "line", "ends": [1]}]}, "shapes[0].ends is [1], expected an array of 2"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_place(content: object, message: str) -> None:
    with pytest.raises(MismatchError) as refusal:
        decode(Drawing, content)
    assert str(refusal.value) == message


def test_an_unknown_tag_is_refused() -> None:
    with pytest.raises(MismatchError, match="expected one of dot, line"):
        decode_one_of((Dot, Line), {"shape": "circle"})


def test_an_annotation_without_a_form_in_json_is_an_error_of_ours() -> None:
    @dataclass
    class Odd:
        value: complex

    with pytest.raises(TypeError, match="has no form in a file"):
        decode(Odd, {"value": 1})
