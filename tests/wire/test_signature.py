"""Signatures against tampering of every kind; the protocol's own examples are in tests/compat/test_auth_cases.py."""

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving.errors import Unauthenticated
from athena_serving.wire import signature
from athena_serving.wire.signature import Signed

NOW = datetime(2025, 1, 1, tzinfo=UTC)
DATE = "Wed, 01 Jan 2025 00:00:00 GMT"
KEYS = {"key": "secret"}


def signed(**changes: str) -> Signed:
    """A right signature of `POST /v1/private/echo`, with changes."""
    query = signature.signed_query(
        "key", "secret", method="POST", host="localhost:1888", path="/v1/private/echo", date=DATE
    )
    return signature.read_query(dict(parse_qsl(query)))._replace(**changes)


def verify(one: Signed, *, method: str = "POST", path: str = "/v1/private/echo", now: datetime = NOW) -> None:
    """Check it as the server of `KEYS` would."""
    signature.verify(one, KEYS.get, method=method, path=path, now=now)


def test_what_was_signed_is_accepted() -> None:
    """A signature of this key over this request passes."""
    verify(signed())


@pytest.mark.parametrize(
    "change", [{"host": "other"}, {"api_key": "unknown"}, {"signature": "AAAA"}, {"signature": "é"}]
)
def test_any_change_is_refused_in_the_same_words(change: dict[str, str]) -> None:
    """What is wrong is not said: an unknown key looks like a wrong signature."""
    with pytest.raises(Unauthenticated, match="the API key is unknown or the signature is wrong"):
        verify(signed(**change))


def test_empty_secret_does_not_open_unknown_keys() -> None:
    """A signature by the empty secret is none of a key that nobody has."""
    query = signature.signed_query("nobody", "", method="POST", host="h", path="/v1/private/echo", date=DATE)
    with pytest.raises(Unauthenticated):
        verify(signature.read_query(dict(parse_qsl(query))))


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/private/echo"), ("POST", "/v1/private/other")])
def test_signature_is_for_one_method_and_path(method: str, path: str) -> None:
    """It cannot be carried over to another request."""
    with pytest.raises(Unauthenticated):
        verify(signed(), method=method, path=path)


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_old_and_early_dates_are_refused(seconds: int) -> None:
    """Beyond 300 seconds either way; our own clock is in the message."""
    with pytest.raises(Unauthenticated, match="300 seconds from ours"):
        verify(signed(), now=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("date", ["", "yesterday", "Wed, 99 Jan 2025 00:00:00 GMT", "Wed, 01 Jan 99999 00:00:00 GMT"])
def test_what_is_no_date_is_refused(date: str) -> None:
    """Never an exception of another kind."""
    with pytest.raises(Unauthenticated):
        verify(signed(date=date))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ('api_key="key", headers="host date request-line", signature="x"', "algorithm"),
        ('api_key="key", algorithm="none", headers="host date request-line", signature="x"', "algorithm"),
        ('api_key="key", algorithm="hmac-sha256", headers="host", signature="x"', "headers"),
        ('algorithm="hmac-sha256", headers="host date request-line", signature="x"', "api_key"),
        ('api_key="key", algorithm="hmac-sha256", headers="host date request-line"', "signature"),
    ],
)
def test_missing_or_weaker_fields_are_named(fields: str, words: str) -> None:
    """A client cannot choose what is signed, nor how."""
    query = {"authorization": base64.b64encode(fields.encode()).decode(), "date": DATE, "host": "h"}
    with pytest.raises(Unauthenticated, match=words):
        signature.read_query(query)


@pytest.mark.parametrize("query", [{}, {"authorization": "%%%", "date": DATE, "host": "h"}, {"authorization": "/w=="}])
def test_query_that_is_not_signed_is_refused(query: dict[str, str]) -> None:
    """Missing members and broken base64 are said."""
    with pytest.raises(Unauthenticated):
        signature.read_query(query)


def test_body_is_bound_by_its_digest() -> None:
    """Scheme B: another body, or none, is refused."""
    headers = signature.signed_headers("key", "secret", host="h", path="/v1/private/echo", date=DATE, body=b"{}")
    one = signature.read_headers({name.lower(): value for name, value in headers.items()})
    signature.verify(one, KEYS.get, method="POST", path="/v1/private/echo", now=NOW, body=b"{}")
    for body in (b"{ }", None):
        with pytest.raises(Unauthenticated, match="digest"):
            signature.verify(one, KEYS.get, method="POST", path="/v1/private/echo", now=NOW, body=body)


@pytest.mark.parametrize("name", ["authorization", "date", "host", "digest"])
def test_headers_must_be_whole(name: str) -> None:
    """Scheme B: a missing header is named."""
    headers = signature.signed_headers("key", "secret", host="h", path="/x", date=DATE, body=b"")
    low = {key.lower(): value for key, value in headers.items() if key.lower() != name}
    with pytest.raises(Unauthenticated, match=name):
        signature.read_headers(low)


def test_other_schemes_are_refused() -> None:
    """`Authorization: Bearer …` is not ours."""
    headers = {"authorization": "Bearer x", "date": DATE, "host": "h", "digest": "SHA-256=x"}
    with pytest.raises(Unauthenticated, match="hmac"):
        signature.read_headers(headers)


@given(st.text(), st.text(), st.text())
def test_garbage_is_refused_and_nothing_else(authorization: str, date: str, host: str) -> None:
    """Whatever stands in the query, the answer is a refusal."""
    with pytest.raises(Unauthenticated):
        verify(signature.read_query({"authorization": authorization, "date": date, "host": host}))
