"""Field classes: constructors as in the field, test values (wrapper.md 1.5; checklist 7)."""

import logging
from pathlib import Path

import pytest

from athena_serving.sdk import (
    AudioBodyField,
    BooleanParamField,
    ImageBodyField,
    IntegerParamField,
    JsonBodyField,
    NumberParamField,
    StringBodyField,
    StringParamField,
)
from athena_serving.sdk.fields import BodyField, Field


@pytest.mark.parametrize("value", [b"text", "text"])
def test_text_field_takes_bytes_and_str(value: bytes | str) -> None:
    """Five published wrappers pass a str, which ASF refused."""
    assert StringBodyField("t", value).test_value == b"text"


@pytest.mark.parametrize(
    ("field", "sample"),
    [
        (JsonBodyField("j"), None),
        (JsonBodyField("j", '{"a":1}'), b'{"a":1}'),
        (JsonBodyField("j", b"[]"), b"[]"),
        (JsonBodyField("j", {"a": "é"}), b'{"a": "\xc3\xa9"}'),
        (StringBodyField("t", ""), None),
        (AudioBodyField("a"), None),
    ],
)
def test_sample_is_the_test_value_or_none(field: BodyField, sample: bytes | None) -> None:
    """What is empty is of no use for a warm-up."""
    assert field.sample() == sample


def test_missing_picture_only_warns(caplog: pytest.LogCaptureFixture) -> None:
    """The service starts without its test picture; the log says which is missing."""
    field = ImageBodyField("image", path="nowhere.jpg")
    with caplog.at_level(logging.WARNING):
        assert field.sample() is None
    assert "'image'" in caplog.text
    assert "nowhere.jpg" in caplog.text
    assert field.test_value == b"test"


def test_picture_is_found_beside_the_wrapper(tmp_path: Path) -> None:
    """A relative path is tried in the given folder as well."""
    (tmp_path / "a.jpg").write_bytes(b"jpg")
    assert ImageBodyField("image", path="a.jpg").sample(str(tmp_path)) == b"jpg"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (StringParamField("p", value=b"x"), "x"),
        (StringParamField("p", enums=["a", "b"]), "a"),
        (StringParamField("p", enums=["a", "b"], value="b"), "b"),
        (IntegerParamField("p", 1, 9, value=3), 3),
        (NumberParamField("p", 0.0, 1.0, value=0.5), 0.5),
        (BooleanParamField("p", default=True), True),
    ],
)
def test_parameter_has_a_test_value(field: StringParamField, value: object) -> None:
    """The given value, or the first choice where the value is none of them."""
    assert field.test_value == value


@pytest.mark.parametrize(
    "field",
    [
        JsonBodyField("k"),
        StringBodyField("k"),
        AudioBodyField("k"),
        ImageBodyField("k"),
        StringParamField("k"),
        NumberParamField("k"),
        IntegerParamField("k"),
        BooleanParamField("k"),
    ],
)
def test_every_field_has_what_code_may_ask(field: Field) -> None:
    """ASF's integer fields lacked title and description."""
    assert (field.key, field.title, field.description) == ("k", "", "")
    assert hasattr(field, "data_type")
    assert hasattr(field, "test_value")


def test_words_can_be_said_of_every_parameter() -> None:
    """More than ASF let them."""
    for kind in (StringParamField, NumberParamField, IntegerParamField, BooleanParamField):
        field = kind("p", title="t", description="d")
        assert (field.title, field.description) == ("t", "d")


def test_positional_order_is_that_of_asf() -> None:
    """Old wrappers may leave the names out."""
    string = StringParamField("k", 1, 2, ["a"], True, "a", "d", "t")
    assert (string.minLength, string.maxLength, string.enums, string.required) == (1, 2, ("a",), True)
    assert (string.value, string.description, string.title) == ("a", "d", "t")
    number = IntegerParamField("k", 1, 2, [1], True, 1)
    assert (number.minimum, number.maximum, number.enums, number.required, number.value) == (1, 2, (1,), True, 1)
    flag = BooleanParamField("k", "t", True, True)
    assert (flag.title, flag.default, flag.required) == ("t", True, True)
    text = StringBodyField("k", b"v", True, "gbk", "json", "gzip", 2)
    assert (text.attributes, text.status) == ({"encoding": "gbk", "compress": "gzip", "format": "json"}, 2)


def test_odd_values_do_not_stop_the_start() -> None:
    """What ASF took: bytes, None, choices of several types, test values beyond the bounds."""
    field = StringParamField("p", minLength=None, enums=[3, "eee", b"x", None], value=b"\xff")
    assert (field.enums, field.rules()) == ((3, "eee", "x"), {"enum": [3, "eee", "x"]})
    assert StringParamField("p", enums=None, maxLength=None, value=None).rules() == {"minLength": 0}
    assert NumberParamField("p", minimum=5, maximum=9, value=1).test_value == 1
    assert JsonBodyField("j", {"when": Path("x")}).test_value == b'{"when": "x"}'
    assert StringBodyField("t", None).test_value == b"test"  # type: ignore[arg-type]
    assert ImageBodyField("i", encoding=None).attributes == {}  # type: ignore[arg-type]


def test_text_of_another_type_is_refused_by_name() -> None:
    """As ASF did, which did not name it."""
    with pytest.raises(TypeError, match="value of field 't' must be bytes or str, not dict"):
        StringBodyField("t", {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "rules"),
    [
        (StringParamField("p", minLength="1", maxLength=b"44"), {"minLength": 1, "maxLength": 44}),  # type: ignore[arg-type]
        (StringParamField("p", maxLength=44.0), {"minLength": 0, "maxLength": 44}),  # type: ignore[arg-type]
        (StringParamField("p", minLength=-1, maxLength=-1), {}),
        (NumberParamField("p", minimum="0.5", maximum=float("inf")), {"minimum": 0.5}),  # type: ignore[arg-type]
        (NumberParamField("p", minimum=float("-inf"), maximum=None), {}),
        (IntegerParamField("p", minimum=-3, maximum="9"), {"minimum": -3, "maximum": 9}),  # type: ignore[arg-type]
        (IntegerParamField("p", minimum="low"), {"minimum": "low", "maximum": 100}),  # type: ignore[arg-type]
    ],
)
def test_bounds_are_numbers_however_they_are_written(field: StringParamField, rules: dict[str, object]) -> None:
    """ASF checked none of them: as text they count, what bounds nothing is left out, what is none is refused later."""
    assert repr(field.rules()) == repr(rules)
