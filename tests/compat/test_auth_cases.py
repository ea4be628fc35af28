"""Cases A1-A5 of http-api.md 12.4, with the worked example of its 8.4."""

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest

from athena_serving.errors import Unauthenticated
from athena_serving.wire import signature

KEY = "APIKEY0123456789abcdef0123456789"
SECRET = "SECRETabcdefghijklmnopqrstuvwxyz"  # noqa: S105  # the worked example's
HOST = "127.0.0.1:30889"
DATE = "Wed, 01 Jan 2025 00:00:00 GMT"
PATH = "/v1/private/mmocr"
NOW = datetime(2025, 1, 1, tzinfo=UTC)

SIGNATURES = {
    "POST": "H6g6F1QXIceFxzrPvTvNF+7fZ3SouG6OM/HJX6ahSE4=",
    "GET": "CrcV5z4qa/7WGKPP6NUybiC1Jeof2afca1WbcfKsYKI=",
}
AUTHORIZATIONS = {
    method: f'api_key="{KEY}", algorithm="hmac-sha256", headers="host date request-line", signature="{one}"'
    for method, one in SIGNATURES.items()
}


def find(key: str) -> str | None:
    """The one key there is."""
    return SECRET if key == KEY else None


def signed(method: str, *, host: str = HOST, date: str = DATE) -> dict[str, str]:
    """The query of a signed URL, by name."""
    return dict(parse_qsl(signature.signed_query(KEY, SECRET, method=method, host=host, path=PATH, date=date)))


@pytest.mark.parametrize("method", [pytest.param("POST", id="A1"), pytest.param("GET", id="A2")])
def test_a1_a2_signature_is_as_listed(method: str) -> None:
    """A1, A2: the signature, the authorization and the query of the worked example, to the letter."""
    query = signature.signed_query(KEY, SECRET, method=method, host=HOST, path=PATH, date=DATE)
    encoded = base64.b64encode(AUTHORIZATIONS[method].encode()).decode()
    assert query == (
        f"authorization={encoded.replace('=', '%3D').replace('+', '%2B').replace('/', '/')}"
        "&date=Wed%2C%2001%20Jan%202025%2000%3A00%3A00%20GMT&host=127.0.0.1%3A30889"
    )
    assert signature.read_query(dict(parse_qsl(query))).signature == SIGNATURES[method]
    assert signature.http_date(NOW) == DATE


def test_a3_wrong_requests_are_refused() -> None:
    """A3: a date over 300 s away, another secret, path or method: 401."""
    one = signature.read_query(signed("POST"))
    wrong = [
        {"method": "POST", "path": PATH, "now": NOW + timedelta(seconds=301)},
        {"method": "POST", "path": PATH, "now": NOW - timedelta(seconds=301)},
        {"method": "GET", "path": PATH, "now": NOW},
        {"method": "POST", "path": "/v1/private/other", "now": NOW},
    ]
    for case in wrong:
        with pytest.raises(Unauthenticated) as caught:
            signature.verify(one, find, **case)  # type: ignore[arg-type]  # cases of several types
        assert caught.value.http == 401
    with pytest.raises(Unauthenticated):
        signature.verify(one, lambda _: "another", method="POST", path=PATH, now=NOW)


@pytest.mark.parametrize("host", [HOST, "127.0.0.1"])
@pytest.mark.parametrize("zone", ["GMT", "UTC"])
@pytest.mark.parametrize("comma", [", ", ","])
def test_a4_spellings_of_other_clients_are_accepted(host: str, zone: str, comma: str) -> None:
    """A4: `UTC` and `GMT`, the host with and without its port, fields joined with and without a blank."""
    query = signed("POST", host=host, date=DATE.replace("GMT", zone))
    plain = base64.b64decode(query["authorization"]).decode().replace(", ", comma)
    query["authorization"] = base64.b64encode(plain.encode()).decode()
    signature.verify(signature.read_query(query), find, method="POST", path=PATH, now=NOW)


@pytest.mark.parametrize(
    ("host", "date", "listed"),
    [
        ("127.0.0.1", DATE, "UC9WejMATRndi6KbWOpERT8FKsSIhhemyO4ouJOGiPk="),
        (HOST, "Wed, 01 Jan 2025 00:00:00 UTC", "eVJkBix9+GaKxtcBcjjUK/t6MWII82SkqO1hn0P3LKM="),
    ],
)
def test_a4_variants_are_signed_as_listed(host: str, date: str, listed: str) -> None:
    """A4: the Python client's host without port, the Go client's zone."""
    assert signature.read_query(signed("POST", host=host, date=date)).signature == listed


def test_a5_digest_scheme_is_as_listed() -> None:
    """A5: scheme B, digest and signature of the worked example, and the way back."""
    body = b'{"common":{"app_id":"123456"}}'
    headers = signature.signed_headers(KEY, SECRET, host=HOST, path=PATH, date=DATE, body=body)
    assert headers["Digest"] == "SHA-256=gcrzTM4RPzHUuQq5IK0SfPi+xgYjb8dChCRQ1vRJtpA="
    assert 'signature="xB2KmsF2BexXXo6N0SZRuGpuIZuCZKByl6/JgwqZTww="' in headers["Authorization"]
    one = signature.read_headers({name.lower(): value for name, value in headers.items()})
    signature.verify(one, find, method="POST", path=PATH, now=NOW, body=body)
