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
from athena_serving.sdk.fields import BodyField


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
