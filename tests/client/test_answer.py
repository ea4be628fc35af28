"""Answers become results, or the errors that they stand for."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving import errors
from athena_serving.client import answer as answers
from athena_serving.client import faults
from athena_serving.client.answer import Answer, Output
from athena_serving.client.faults import CallError
from athena_serving.errors import AthenaError, Problem, UsageError
from athena_serving.wire import envelope, schema
from athena_serving.wire.messages import DataType, Expect, Piece, Reply

SCHEMA = schema.compile(
    {
        "meta": {
            "serviceId": "s",
            "version": "v1",
            "service": ["s"],
            "s": {"input": {}, "accept": {"out": {"dataType": "text"}, "picture": {"dataType": "image"}}},
        },
        "schemainput": {"type": "object", "properties": {}},
        "schemaoutput": {"type": "object", "properties": {}},
    },
    body_limit=0,
)


def written(data: bytes, *, key: str = "out", form: str = "plain") -> Output:
    """One output as our server writes it and the client reads it."""
    kind = DataType.TEXT if key == "out" else DataType.IMAGE
    expects = [Expect(key, kind, {"format": form})]
    body = envelope.encode("sid", Reply([Piece(key, kind, data=data)]), expects, SCHEMA)
    return answers.read(Answer(200, {}, body), seconds=0.0).outputs[key]


def block(**members: Any) -> Output:
    """One output as another server writes it."""
    document = {"header": {"code": 0, "sid": "s"}, "payload": {"x": members}}
    return answers.read(Answer(200, {}, json.dumps(document).encode()), seconds=0.0).outputs["x"]


@given(st.binary(), st.sampled_from(["out", "picture"]))
def test_data_come_back_as_they_were(data: bytes, key: str) -> None:
    """Whatever bytes a service answers with."""
    output = written(data, key=key)
    assert (output.data, output.is_json, output.type) == (data, False, "text" if key == "out" else "image")


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = LEAVES | st.recursive(
    st.lists(LEAVES | st.text()), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=9
)


@given(VALUES)
def test_json_comes_back_as_it_was(value: object) -> None:
    """Under `format: json` it is parsed; its text is kept, with the form of its numbers."""
    data = json.dumps(value, separators=(",", ":")).encode()
    output = written(data, form="json")
    assert output.is_json
    assert (output.json, output.data) == (value, data)


@pytest.mark.parametrize(
    ("data", "is_json"),
    [
        (b'"two words"', True),
        (b'"MTIz"', True),  # base64 of 123, which would not have been base64
        (b'"test"', True),  # base64 of what is no text
        (b'"aGVsbG8="', False),  # base64 of hello: nobody can tell
        (b"hello", False),
        (b"", False),
    ],
)
def test_string_under_format_json_is_told_from_base64(data: bytes, is_json: bool) -> None:
    """The protocol has no mark for it: a string that is base64 of text that is no JSON counts as base64."""
    assert written(data, form="json").is_json is is_json


def test_text_is_read_in_its_encoding() -> None:
    """The output says which; an unknown one counts as UTF-8."""
    assert block(text="ztLDxw==", encoding="gbk").text == "我们"
    assert block(text="w6k=", encoding="raw").text == "é"
    with pytest.raises(ValueError, match="output 'x' is not JSON"):
        _ = block(text="ztLDxw==").json


def test_other_servers_are_understood() -> None:
    """ASF's loader sends text as it is, and ASF's gateway no payload for no outputs; data stand last."""
    assert block(text="not base64!").data == b"not base64!"
    assert block(text="raw", image="AAH/").type == "image"
    assert block(status=3).data == b""
    assert answers.read(Answer(200, {}, b'{"header":{"code":0},"payload":null}'), seconds=0.0).outputs == {}
    with pytest.raises(faults.ServerFailed, match="not base64"):
        block(image="%")


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────


def refusal(status: int, body: bytes = b"", *, again: str = "") -> CallError:
    """The error that an answer stands for; `again` is its Retry-After."""
    headers = {"retry-after": again} if again else {}
    with pytest.raises(CallError) as caught:
        answers.check(Answer(status, headers, body))
    return caught.value


KINDS: dict[type[AthenaError], type[CallError]] = {
    errors.CapacityError: faults.Busy,
    errors.DeadlineExceeded: faults.TimedOut,
    errors.RequestTimeout: faults.TimedOut,
    errors.WrapperError: faults.WrapperFailed,
    errors.CallerError: faults.BadRequest,
}
"""By whose fault: the first that fits counts; the others are the server's."""


@pytest.mark.parametrize("error", errors.BY_CODE.values())
def test_every_error_of_the_server_has_its_class(error: type[AthenaError]) -> None:
    """By whose fault it is, whatever HTTP status a service gave its code."""
    assert not issubclass(error, UsageError)
    wanted = next((KINDS[one] for one in KINDS if issubclass(error, one)), faults.ServerFailed)
    body = json.dumps({"header": {"code": error.code, "message": "words", "sid": "s"}}).encode()
    for status in (error.http, 418):
        found = refusal(status, body)
        assert isinstance(found, wanted)
        assert (found.code, found.sid, found.message) == (error.code, "s", "words")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, 0, faults.ServiceNotFound),
        (500, 10404, faults.ServerFailed),
        (401, 0, faults.BadRequest),
        (504, 0, faults.TimedOut),
        (503, 0, faults.Busy),
        (430, 77, faults.WrapperFailed),
        (502, 0, faults.ServerFailed),
        (302, 0, faults.ServerFailed),
        (599, 0, faults.ServerFailed),
    ],
)
def test_other_refusals_go_by_status(status: int, code: int, kind: type[CallError]) -> None:
    """Those of proxies, and codes of the service's own."""
    assert type(refusal(status, b'{"header":{"code":%d}}' % code)) is kind
    assert f"HTTP {status}" in str(refusal(status, b"<html>"))


def test_places_and_names_are_kept() -> None:
    """`errors` of the header, and the list of a 404."""
    body = b'{"header":{"code":10163,"errors":[{"pointer":"/header","message":"is wrong"}]}}'
    assert refusal(400, body).problems == (Problem("/header", "is wrong"),)
    missing = refusal(404, b'{"message":"not found","services":["a"]}')
    assert isinstance(missing, faults.ServiceNotFound)
    assert (missing.message, missing.services) == ("not found", ("a",))


def test_retry_after_is_seconds_or_a_date() -> None:
    """Only with 429 and 503; what is neither counts as not said."""
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 58 < (refusal(503, again=later).retry_after or 0) <= 60
    assert refusal(429, again="Wed, 01 Jan 2025 00:00:00 GMT").retry_after == 0.0
    assert refusal(429, again="9" * 5000).retry_after == 999_999_999
    for status, said in ((429, "soon"), (429, "-1"), (429, "²"), (502, "1")):
        assert refusal(status, again=said).retry_after is None
