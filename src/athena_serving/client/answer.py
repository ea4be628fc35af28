"""What came back: a `Result`, or the `CallError` that the answer stands for (http-api.md 3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import msgspec
import pybase64

from athena_serving.client import faults
from athena_serving.client.faults import ServerFailed, ServiceNotFound
from athena_serving.errors import Problem
from athena_serving.wire.messages import DATA_KEYS


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as it came."""

    status: int
    headers: Mapping[str, str]
    """By name; names in lower case."""
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Output:
    """One output of a service."""

    key: str
    type: str
    """`text`, `audio`, `image`, `video` or `other`."""
    data: bytes = field(repr=False)
    """The bytes, no longer base64; of JSON that stood in the answer as such, its text."""
    attributes: Mapping[str, object]
    """`encoding`, `format`, `seq`, `status`, and what else the service said."""
    is_json: bool = False
    """Did it stand in the answer as JSON? Then the caller, or the service, asked for `format: json`."""

    @property
    def text(self) -> str:
        """The data as text, in the encoding that the output names, else UTF-8. Raises UnicodeDecodeError."""
        named = "utf-8" if self.is_json else str(self.attributes.get("encoding", "utf-8"))
        try:
            return self.data.decode(named)
        except LookupError:  # `raw`, say
            return self.data.decode()

    @property
    def json(self) -> Any:
        """The data as JSON, parsed. Raises ValueError if they are none."""
        try:
            return msgspec.json.decode(self.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"output {self.key!r} is not JSON: {error}") from None


@dataclass(frozen=True)
class Result:
    """The answer to one call."""

    sid: str
    """Names the call in the server's log."""
    outputs: dict[str, Output]
    request_id: str
    """X-Request-ID of the answer."""
    seconds: float
    """How long the call took here, tries and pauses included."""
    raw: Mapping[str, Any] = field(repr=False)
    """The answer's JSON as it came."""


class _Wrong(msgspec.Struct):
    pointer: str = ""
    message: str = ""


class _Header(msgspec.Struct):
    code: int = 0
    message: str = ""
    sid: str = ""
    errors: list[_Wrong] = []


class _Envelope(msgspec.Struct):
    """An answer, or one of the two that have no header (http-api.md 3.6)."""

    header: _Header | None = None
    payload: dict[str, dict[str, msgspec.Raw]] | None = None
    message: str = ""
    services: list[str] = []


_decode = msgspec.json.Decoder(_Envelope).decode


def check(answer: Answer) -> None:
    """Raise the CallError that an answer stands for, if it does not stand for success."""
    _opened(answer)


def read(answer: Answer, *, seconds: float) -> Result:
    """The result of a call that took so many seconds. Raises the CallError that the answer stands for."""
    envelope = _opened(answer)
    if envelope is None or envelope.header is None:
        raise ServerFailed("the answer is none of a service", status=answer.status)
    outputs = {key: _output(key, block) for key, block in (envelope.payload or {}).items()}
    raw = msgspec.json.decode(answer.body)
    return Result(envelope.header.sid, outputs, answer.headers.get("x-request-id", ""), seconds, raw)


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────


def _opened(answer: Answer) -> _Envelope | None:
    try:
        envelope = _decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # a proxy's page, say
        envelope = None
    header = envelope.header if envelope else None
    if 200 <= answer.status < 300 and not (header and header.code):
        return envelope
    said = header or _Header()
    error = faults.kind_of(said.code, answer.status)(
        said.message or (envelope.message if envelope else "") or _status_words(answer.status),
        code=said.code,
        status=answer.status,
        sid=said.sid,
        problems=tuple(Problem(one.pointer, one.message) for one in said.errors),
        retry_after=_retry_after(answer),
    )
    if isinstance(error, ServiceNotFound) and envelope:
        error.services = tuple(envelope.services)
    raise error


def _status_words(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}, without words of its own"
    except ValueError:
        return f"HTTP {status}, without words of its own"


def _retry_after(answer: Answer) -> float | None:
    """Seconds of Retry-After, a number or a date (RFC 9110 10.2.3), where the status is one that may pass."""
    said = answer.headers.get("retry-after", "").strip()
    if answer.status not in (429, 503) or not said:
        return None
    if said.isascii() and said.isdecimal():
        return float(said[:9])  # beyond 30 years it makes no difference
    try:
        moment = parsedate_to_datetime(said)
    except (ValueError, TypeError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


# ── outputs ───────────────────────────────────────────────────────────────────────────────────────


def _output(key: str, block: Mapping[str, msgspec.Raw]) -> Output:
    # The server writes the data last; an attribute may have the name of another type.
    kind = next((name for name in reversed([*block]) if name in DATA_KEYS), "")
    attributes = {name: msgspec.json.decode(value) for name, value in block.items() if name != kind}
    if not kind:
        return Output(key, "other", b"", attributes)
    value = bytes(block[kind])
    is_json = attributes.get("format") == "json"
    if not value.startswith(b'"'):
        return Output(key, kind, value, attributes, is_json=True)
    text = msgspec.json.decode(value, type=str)
    data = _from_base64(text)
    if is_json and _is_embedded(data, kind):
        return Output(key, kind, value, attributes, is_json=True)
    if data is None and kind != "text":
        raise ServerFailed(f"the data of output {key!r} are not base64")
    # ASF's loader on its own sends text as it is (http-api.md 3.5).
    return Output(key, kind, text.encode() if data is None else data, attributes)


def _from_base64(text: str) -> bytes | None:
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:
        return None


def _is_embedded(data: bytes | None, kind: str) -> bool:
    """Is a string under `format: json` itself the answer, and not base64? The protocol does not say.

    Data that are valid JSON are never base64 there (http-api.md 3.3). Else it may be either; text that base64 yields is
    UTF-8, what chance yields is hardly ever.
    """
    if data is None or _is_json(data):
        return True
    return kind == "text" and not _is_utf8(data)


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
