"""How a call goes, without doing any of it: a plan yields what to send and how long to pause, and ends with the result.

    client             plan
      │  next()          │
      │◄── Send(…) ──────┤   whoever runs it sends that, and gives back the Answer, or throws the CallError
      ├── Answer ───────►│   that came of it
      │◄── Pause(0.2) ───┤   429, Retry-After: 0
      ├── None ─────────►│
      │◄── Send(…) ──────┤   signed anew
      ├── Answer ───────►│
      │◄── Result ───────┘

So both clients do the same, and tests have the clock.
"""

import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec

from athena_serving.client import answer as answers
from athena_serving.client import catalogue, request
from athena_serving.client.answer import Answer, Result
from athena_serving.client.catalogue import ServiceSchema
from athena_serving.client.faults import BadRequest, CallError, ServerFailed, ServiceNotFound, TimedOut
from athena_serving.client.request import Ask
from athena_serving.wire import signature

T = TypeVar("T")

FIRST_PAUSE: Final = 0.1
"""Seconds that the first pause is at most longer than the server asks; doubles with each try."""
LONGEST_PAUSE: Final = 10.0
"""Seconds up to which that doubles."""


class Send(NamedTuple):
    """Send this; an `Answer` is wanted."""

    method: str
    url: str
    body: bytes
    timeout: float
    """Seconds left for it."""


class Pause(NamedTuple):
    """Wait so many seconds."""

    seconds: float


Plan = Generator[Send | Pause, Answer | None, T]


@dataclass(frozen=True)
class Peer:
    """A server, and who we are to it."""

    url: str
    app_id: str
    api_key: str
    api_secret: str = field(repr=False)
    timeout: float
    """Seconds for a call, tries and pauses included."""
    retries: int
    """Tries after the first."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{self.url!r} is no address of a server: http://127.0.0.1:1888, for example")
        if bool(self.api_key) != bool(self.api_secret):
            raise ValueError("api_key and api_secret belong together: one is missing")

    def address(self, path: str, *, method: str, moment: datetime) -> str:
        """The URL of a path; with a key, signed for this moment (http-api.md 8.2)."""
        parts = urlsplit(f"{self.url.rstrip('/')}{path}")
        url = f"{parts.scheme}://{parts.netloc}{parts.path}"
        if not self.api_key:
            return url
        host = parts.netloc.rpartition("@")[2]
        date = signature.http_date(moment)
        query = signature.signed_query(
            self.api_key, self.api_secret, method=method, host=host, path=parts.path, date=date
        )
        return f"{url}?{query}"


class Plans:
    """Plans of calls to one server. Remembers its catalogue; may be shared by threads."""

    def __init__(
        self,
        peer: Peer,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        today: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._peer = peer
        self._clock = clock
        self._chance = chance
        self._today = today
        self._known: Mapping[str, ServiceSchema] | None = None

    def call(self, ask: Ask, timeout: float | None) -> Plan[Result]:
        """One call; data types are looked up where the caller gave none. Its inputs are loaded."""
        began = self._clock()
        until = began + (self._peer.timeout if timeout is None else timeout)
        if ask.untyped:
            schema = yield from self._described(ask.service, until, wanted=ask.untyped)
            ask = ask.typed(_types(ask, schema))
        try:
            body = request.body(ask, app_id=self._peer.app_id)
            answer = yield from self._exchange("POST", request.path(ask.service), until, body)
        except BadRequest:
            self._known = None  # the service may have another schema by now
            raise
        return answers.read(answer, seconds=self._clock() - began)

    def services(self) -> Plan[tuple[str, ...]]:
        """Names of the services that describe themselves."""
        known = yield from self._catalogue(self._until())
        return tuple(sorted(known))

    def schema(self, service: str) -> Plan[ServiceSchema]:
        """What one service takes and gives, asked for anew. Raises ServiceNotFound."""
        self._known = None
        return (yield from self._described(service, self._until(), wanted=[]))

    def health(self) -> Plan[Mapping[str, object]]:
        """`/healthz` (docs/http-api.md)."""
        answer = yield from self._exchange("GET", "/healthz", self._until())
        try:
            document = msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            document = None
        if not isinstance(document, dict):
            raise ServerFailed("/healthz of the server is not JSON", status=answer.status)
        return document

    # ── what services are like ────────────────────────────────────────────────────────────────────

    def _described(self, service: str, until: float, *, wanted: list[str]) -> Plan[ServiceSchema]:
        """The schema of a service, with these inputs if that can be; the server is asked again before saying no."""
        known = self._known or {}
        if service not in known or not known[service].inputs.keys() >= set(wanted):
            known = yield from self._catalogue(until)
        if service not in known:
            yield from self._probe(service, until)
            known = yield from self._catalogue(until)
        if service not in known:
            raise ServerFailed(f"service {service!r} does not describe itself: give its inputs types, Input(…, type=…)")
        return known[service]

    def _catalogue(self, until: float) -> Plan[Mapping[str, ServiceSchema]]:
        try:
            answer = yield from self._exchange("GET", "/openapi.json", until)
        except ServiceNotFound as error:
            words = "the server has no /openapi.json that describes its services: give inputs types, Input(…, type=…)"
            raise ServerFailed(words, status=error.status) from None
        self._known = known = catalogue.read(answer.body)
        return known

    def _probe(self, service: str, until: float) -> Plan[None]:
        """Raise ServiceNotFound, with the names of others, if nothing is there; return if something is.

        A request without an app id is refused before anything runs (http-api.md 3.6). A server that is still starting
        says 503, and is asked again.
        """
        try:
            yield from self._exchange("POST", request.path(service), until, b"{}")
        except ServiceNotFound as error:
            named = ServiceNotFound(f"no service {service!r} at {self._peer.url}", status=error.status)
            named.services = error.services
            raise named from None
        except BadRequest:
            return

    # ── trying ────────────────────────────────────────────────────────────────────────────────────

    def _exchange(self, method: str, path: str, until: float, body: bytes = b"") -> Plan[Answer]:
        """Send until there is a good answer, no try is left, or the error says not to. Raises CallError."""
        failures = 0
        while True:
            left = until - self._clock()
            if left <= 0:
                raise TimedOut("the time for the call was over before it was sent")
            url = self._peer.address(path, method=method, moment=self._today())
            try:
                answer = yield Send(method, url, body, left)
                assert answer is not None  # noqa: S101  # what a Send is answered with
                answers.check(answer)
            except CallError as error:
                pause = self._pause(error, failures)
                if failures >= self._peer.retries or pause is None or pause >= until - self._clock():
                    raise
            else:
                return answer
            failures += 1
            yield Pause(pause)

    def _pause(self, error: CallError, failures: int) -> float | None:
        """Seconds before the next try: what the server asks, and some more by chance, so that callers spread."""
        if error.retry_after is None:
            return None
        spread: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**failures)
        return error.retry_after + spread * (0.5 + 0.5 * self._chance())

    def _until(self) -> float:
        return self._clock() + self._peer.timeout


def _types(ask: Ask, schema: ServiceSchema) -> Mapping[str, str]:
    """Data type of each input. Raises BadRequest for one that the service does not have."""
    for key in ask.untyped:
        if key not in schema.inputs:
            known = ", ".join(f"{name} ({kind})" for name, kind in schema.inputs.items())
            raise BadRequest(f"service {ask.service!r} has no input {key!r}; it has {known or 'none'}")
    return schema.inputs
