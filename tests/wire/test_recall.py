"""Skeletons that are remembered (wire/envelope.py): what is recalled is what would have been read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving.errors import CallerError
from athena_serving.sdk import JsonBodyField, StringBodyField, StringParamField, WrapperBase, document
from athena_serving.wire import envelope, schema
from athena_serving.wire.schema import Schema

LIMIT = 4000


class Request:
    """One input, so that its data member has a name that is looked for."""

    data = StringBodyField("data")
    text = StringParamField("text", maxLength=2000)


class Response:
    """One output."""

    accept1 = JsonBodyField("boxes")


class Wrapper(WrapperBase):
    """The service under test."""

    serviceId = "one"
    requestCls = Request()
    responseCls = Response()


def compiled() -> Schema:
    """A schema that remembers nothing yet."""
    return schema.compile(document.build(Wrapper, body_limit=LIMIT), body_limit=LIMIT)


def body_of(data: object, *, uid: str = "u", **params: object) -> bytes:
    """A request; `text` among the parameters has the name of the data member."""
    return json.dumps(
        {
            "header": {"app_id": "1", "uid": uid},
            "parameter": {"one": params},
            "payload": {"data": {"encoding": "utf8", "text": data}},
        }
    ).encode()


def outcome(body: bytes, one: Schema, *, plain: bool = False) -> object:
    """The request, or what is wrong with it."""
    try:
        return envelope._read(body, one, {}) if plain else envelope.decode(body, one)
    except CallerError as error:
        return type(error), error.message, error.problems


def test_same_skeleton_with_other_data_is_recalled() -> None:
    """The second body is read without a look at its JSON, and each request has its own data and parameters."""
    one = compiled()
    first = envelope.decode(body_of("QUJD"), one)
    first.params["sid"] = "s1"
    assert len(one.known) == 1
    second = envelope.decode(body_of("REVGRw=="), one)
    assert len(one.known) == 1
    assert (first.pieces[0].data, second.pieces[0].data) == (b"ABC", b"DEFG")
    assert second.params == {}
    assert second == envelope._read(body_of("REVGRw=="), one, {})


def test_recalled_data_are_measured() -> None:
    """A known skeleton does not let data through that are too long, and the answer is that of the plain way."""
    one = compiled()
    envelope.decode(body_of("QUJD"), one)
    long = body_of("A" * (LIMIT + 4))
    assert outcome(long, one) == outcome(long, one, plain=True)
    with pytest.raises(CallerError, match="length must be less or equal"):
        envelope.decode(long, one)


def test_member_of_that_name_elsewhere_is_no_data() -> None:
    """A parameter called as the data member keeps its own value, whatever is remembered."""
    one = compiled()
    for value in ("QUJD", "REVG", "QUJD"):
        request = envelope.decode(body_of("SU1H", text=value), one)
        assert (request.params, request.pieces[0].data) == ({"text": value}, b"IMG")


def test_of_two_alike_members_the_last_counts() -> None:
    """Also when the skeleton of the first would be known."""
    one = compiled()
    for last in (b"SU1H", b"QUJD"):
        body = b'{"header":{"app_id":"1"},"payload":{"data":{"text":"REVG","text":"%b"}}}' % last
        assert envelope.decode(body, one) == envelope._read(body, one, {})


def test_memory_is_bounded() -> None:
    """Callers whose skeletons differ make it forget, not grow; long skeletons are not kept at all."""
    one = compiled()
    for number in range(envelope.MOST_KNOWN + 10):
        envelope.decode(body_of("QUJD", uid=str(number)), one)
    assert len(one.known) <= envelope.MOST_KNOWN
    one.known.clear()
    envelope.decode(body_of("QUJD"), one)
    assert len(one.known) == 1
    wide = json.loads(body_of("QUJD"))
    envelope.decode(json.dumps(wide, indent=500).encode(), one)
    assert len(one.known) == 1


_DATA = st.one_of(
    st.sampled_from(["", "QUJD", "QUI=", "QQ==", "Q", "QUJ D", "QU\nJD", '"', "\\", "é", "A" * 3000]),
    st.integers(),
    st.none(),
    st.just({"text": "QUJD"}),
)
_TEXTS = st.sampled_from(["", "QUJD", 'text":"QUJD', '"text":"QUJD"', "\\", "é"])


@given(st.lists(st.tuples(_DATA, _TEXTS, st.one_of(st.none(), _TEXTS), st.booleans()), min_size=1, max_size=8))
def test_recalled_is_what_would_have_been_read(requests: list[tuple[object, str, str | None, bool]]) -> None:
    """One after the other through one memory, good and bad: each as the plain way has it."""
    one = compiled()
    for data, uid, text, is_tight in requests:
        body = body_of(data, uid=uid, **({} if text is None else {"text": text}))
        if is_tight:
            body = json.dumps(json.loads(body), separators=(",", ":")).encode()
        assert outcome(body, one) == outcome(body, one, plain=True)
