"""ASF's request signatures: how a client proves that it has an app's secret, without sending it.

Two schemes, both HMAC-SHA256 over a few lines of text (http-api.md, chapter 8):

- **A**, the signed URL of HTTP and WebSocket calls: `?authorization=<base64>&date=…&host=…`, where authorization holds
  `api_key="…", algorithm="hmac-sha256", headers="host date request-line", signature="…"`;
- **B**, headers of the older protocol: `Host`, `Date`, `Digest: SHA-256=…` of the body, and
  `Authorization: hmac api_key="…", …, headers="host date request-line digest", signature="…"`.

Pure text: keys come from elsewhere, and so does the clock.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from athena_serving.errors import Unauthenticated

MAX_SKEW: Final = 300.0
"""Seconds that a request's date may be from ours, either way (http-api.md 8.2)."""

_ALGORITHM: Final = "hmac-sha256"
_URL_LINES: Final = "host date request-line"
_HEADER_LINES: Final = "host date request-line digest"
_FIELD: Final = re.compile(r'\s*([a-z_]+)="([^"]*)"\s*(?:,|$)')

FindSecret = Callable[[str], str | None]
"""The secret of an API key; None if there is no such key."""


class Signed(NamedTuple):
    """What a client says of itself; not yet proved."""

    api_key: str
    signature: str
    host: str
    date: str
    digest: str = ""
    """`SHA-256=<base64>` of the body, in scheme B."""


# ── for callers ───────────────────────────────────────────────────────────────────────────────────


def http_date(moment: datetime) -> str:
    """A date as HTTP writes it: `Wed, 01 Jan 2025 00:00:00 GMT`. `moment` must know its zone."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def signed_query(api_key: str, secret: str, *, method: str, host: str, path: str, date: str) -> str:
    """The query of a signed URL, without `?`: scheme A.

    `method` is POST for a call and GET for a WebSocket; `host` is signed as it is given, port included if there is
    one; `path` is without its query; `date` as `http_date` makes it.
    """
    authorization = _authorization(api_key, _sign(secret, _text(host, date, method, path)), _URL_LINES)
    encoded = base64.b64encode(authorization.encode()).decode()
    return urlencode({"authorization": encoded, "date": date, "host": host}, quote_via=quote)


def signed_headers(api_key: str, secret: str, *, host: str, path: str, date: str, body: bytes) -> dict[str, str]:
    """The headers of a signed POST: scheme B."""
    digest = body_digest(body)
    signature = _sign(secret, _text(host, date, "POST", path, digest))
    authorization = f"hmac {_authorization(api_key, signature, _HEADER_LINES)}"
    return {"Host": host, "Date": date, "Digest": digest, "Authorization": authorization}


def body_digest(body: bytes) -> str:
    """`SHA-256=<base64>` of a body."""
    return f"SHA-256={base64.b64encode(hashlib.sha256(body).digest()).decode()}"


# ── for servers ───────────────────────────────────────────────────────────────────────────────────


def read_query(query: Mapping[str, str]) -> Signed:
    """Scheme A as a request's query has it. Raises `Unauthenticated` if it is not there whole.

    Fields may be joined by `,` or `, `, in any order: ASF's clients differ (http-api.md 8.2).
    """
    missing = [name for name in ("authorization", "date", "host") if not query.get(name)]
    if missing:
        raise Unauthenticated(f"the URL is not signed: {', '.join(missing)} missing in its query")
    try:
        plain = base64.b64decode(query["authorization"], validate=True).decode()
    except ValueError:
        raise Unauthenticated("authorization is not base64 of text") from None
    fields = _fields(plain, _URL_LINES)
    return Signed(fields["api_key"], fields["signature"], query["host"], query["date"])


def read_headers(headers: Mapping[str, str]) -> Signed:
    """Scheme B as a request's headers have it, names in lower case. Raises `Unauthenticated` if it is not whole."""
    missing = [name for name in ("authorization", "date", "host", "digest") if not headers.get(name)]
    if missing:
        raise Unauthenticated(f"the request is not signed: {', '.join(missing)} missing in its headers")
    scheme, _, plain = headers["authorization"].partition(" ")
    if scheme.lower() != "hmac":
        raise Unauthenticated("authorization must begin with `hmac`")
    fields = _fields(plain, _HEADER_LINES)
    return Signed(fields["api_key"], fields["signature"], headers["host"], headers["date"], headers["digest"])


def verify(
    signed: Signed, find_secret: FindSecret, *, method: str, path: str, now: datetime, body: bytes | None = None
) -> None:
    """Check who signed `method` and `path`. `body` is wanted for a signature with a digest.

    Raises `Unauthenticated`: an unknown key and a wrong signature are told alike, and compared in constant time.
    """
    _check_date(signed.date, now)
    if signed.digest and (body is None or not _same(signed.digest, body_digest(body))):
        raise Unauthenticated("the digest is not that of the body")
    secret = find_secret(signed.api_key)
    text = _text(signed.host, signed.date, method, path, signed.digest)
    right = _sign("" if secret is None else secret, text)  # as much work for a key that nobody has
    if not _same(signed.signature, right) or secret is None:
        raise Unauthenticated("the API key is unknown or the signature is wrong")


# ── inside ────────────────────────────────────────────────────────────────────────────────────────


def _text(host: str, date: str, method: str, path: str, digest: str = "") -> str:
    lines = f"host: {host}\ndate: {date}\n{method} {path} HTTP/1.1"
    return f"{lines}\ndigest: {digest}" if digest else lines


def _sign(secret: str, text: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), _bytes(text), "sha256")).decode()


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(_bytes(left), _bytes(right))


def _bytes(text: str) -> bytes:
    return text.encode(errors="backslashreplace")  # never raises, whatever a client sent


def _authorization(api_key: str, signature: str, lines: str) -> str:
    return f'api_key="{api_key}", algorithm="{_ALGORITHM}", headers="{lines}", signature="{signature}"'


def _fields(plain: str, lines: str) -> dict[str, str]:
    fields = dict(_FIELD.findall(plain))
    wanted = {"algorithm": _ALGORITHM, "headers": lines}
    for name, value in wanted.items():
        if fields.get(name) != value:
            raise Unauthenticated(f'authorization must say {name}="{value}"')
    for name in ("api_key", "signature"):
        if not fields.get(name):
            raise Unauthenticated(f"authorization has no {name}")
    return fields


def _check_date(date: str, now: datetime) -> None:
    # Go's clients write UTC where HTTP has GMT (http-api.md 8.2).
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError):
        raise Unauthenticated(f"{date[:64]!r} is not a date as HTTP writes it") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)  # a zone of -0000: UTC all the same
    if abs((now - moment).total_seconds()) > MAX_SKEW:
        raise Unauthenticated(f"the date is more than {MAX_SKEW:g} seconds from ours: {http_date(now)}")
