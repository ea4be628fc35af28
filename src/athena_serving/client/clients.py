"""The two clients: they carry out plans over `httpx`, one by waiting, one by awaiting."""

import asyncio
import contextlib
import ipaddress
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import ClassVar, Final, Generic, Self, TypedDict, TypeVar
from urllib.parse import urlsplit

import httpx

from athena_serving.client import request
from athena_serving.client.answer import Answer, Result
from athena_serving.client.catalogue import ServiceSchema
from athena_serving.client.faults import CallError, ConnectionLost, NotReachable, ServerFailed, TimedOut
from athena_serving.client.plans import Pause, Peer, Plan, Plans, Send
from athena_serving.client.request import Ask, Data

T = TypeVar("T")
Http = TypeVar("Http", httpx.Client, httpx.AsyncClient)

APP_ID: Final = "athena-client"
"""App id of callers who have none: the protocol wants one that is not empty."""
TIMEOUT: Final = 120.0
"""Seconds for a call; as long as ASF's loader gave user code (http-api.md 12.3, L15)."""
CONNECT_TIMEOUT: Final = 5.0
"""Seconds for a connection: a host that drops packets says nothing, and there may be another try."""

_NOTHING: Final[Mapping[str, Mapping[str, object]]] = MappingProxyType({})


class _Base(Generic[Http]):
    """What both have: where the server is, plans of what to do there, and connections."""

    _kind: ClassVar[type[httpx.Client] | type[httpx.AsyncClient]]
    _http: Http

    def __init__(
        self,
        url: str,
        *,
        app_id: str = APP_ID,
        api_key: str = "",
        api_secret: str = "",
        timeout: float = TIMEOUT,
        retries: int = 2,
    ) -> None:
        """`url` is the server's, without a service's path; `timeout` is in seconds, for a call with all its tries.

        `retries` are further tries where the error allows one (docs/client.md); 0 for calls that must not run twice.
        With a key every URL is signed (http-api.md 8.2). Raises ValueError for what is no URL, or half a key.
        """
        self._peer = Peer(url, app_id, api_key, api_secret, timeout, retries)
        self._plans = Plans(self._peer)
        # A proxy that the environment names cannot know what this machine calls itself.
        self._http = self._kind(trust_env=not _is_loopback(url))  # type: ignore[assignment]  # as the subclass has it


class Client(_Base[httpx.Client]):
    """Calls services and waits for the answers.

        with Client("http://127.0.0.1:1888") as client:
            boxes = client.call("ocr", {"image": Path("page.jpg")}).outputs["boxes"].json

    Threads may share one. Use it as a context manager, or `close` it.
    """

    _kind = httpx.Client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def call(
        self,
        service: str,
        inputs: Mapping[str, Data],
        params: Mapping[str, object] = _NOTHING,
        *,
        outputs: Mapping[str, Mapping[str, object]] = _NOTHING,
        header: Mapping[str, object] = _NOTHING,
        timeout: float | None = None,
    ) -> Result:
        """Call a service once.

        `inputs` are bytes, text, a `Path` whose file is sent, or an `Input` that says the type as well. `outputs` says
        how outputs are wanted: `{"boxes": {"format": "json"}}`. `header` is for members of the request's header beside
        the app id: `{"request_id": "…"}`. `timeout`, in seconds, takes the place of the client's.

        Raises CallError, OSError for a file that cannot be read, TypeError for a value that cannot be sent.
        """
        ask = Ask(service, request.load(inputs), params, outputs, header)
        return self._run(self._plans.call(ask, timeout))

    def services(self) -> tuple[str, ...]:
        """Names of the services that the server describes. Raises CallError."""
        return self._run(self._plans.services())

    def schema(self, service: str) -> ServiceSchema:
        """What a service takes and gives. Raises CallError, of it ServiceNotFound."""
        return self._run(self._plans.schema(service))

    def health(self) -> Mapping[str, object]:
        """State of services and workers, as `/healthz` has it (docs/http-api.md). Raises CallError."""
        return self._run(self._plans.health())

    def _run(self, plan: Plan[T]) -> T:
        go = partial(next, plan)
        while True:
            try:
                step = go()
            except StopIteration as end:
                value: T = end.value
                return value
            try:
                go = partial(plan.send, self._do(step))
            except CallError as error:
                go = partial(plan.throw, error)

    def _do(self, step: Send | Pause) -> Answer | None:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        until = time.monotonic() + step.timeout
        body = bytearray()
        with _translated(self._peer.url, step.timeout), self._http.stream(**_options(step)) as response:
            for chunk in response.iter_bytes():
                body += chunk
                if time.monotonic() > until:  # httpx bounds each wait, not all of them
                    raise TimeoutError
        return Answer(response.status_code, response.headers, bytes(body))


class AsyncClient(_Base[httpx.AsyncClient]):
    """As `Client`, for asyncio.

    async with AsyncClient("http://127.0.0.1:1888") as client:
        answers = await asyncio.gather(*(client.call("ocr", {"image": page}) for page in pages))
    """

    _kind = httpx.AsyncClient

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def call(
        self,
        service: str,
        inputs: Mapping[str, Data],
        params: Mapping[str, object] = _NOTHING,
        *,
        outputs: Mapping[str, Mapping[str, object]] = _NOTHING,
        header: Mapping[str, object] = _NOTHING,
        timeout: float | None = None,  # noqa: ASYNC109  # it bounds tries and pauses, which the plan knows
    ) -> Result:
        """Call a service once: arguments, result and errors are those of `Client.call`."""
        has_files = any(isinstance(getattr(one, "data", one), Path) for one in inputs.values())
        loaded = await asyncio.to_thread(request.load, inputs) if has_files else request.load(inputs)
        return await self._run(self._plans.call(Ask(service, loaded, params, outputs, header), timeout))

    async def services(self) -> tuple[str, ...]:
        """Names of the services that the server describes. Raises CallError."""
        return await self._run(self._plans.services())

    async def schema(self, service: str) -> ServiceSchema:
        """What a service takes and gives. Raises CallError, of it ServiceNotFound."""
        return await self._run(self._plans.schema(service))

    async def health(self) -> Mapping[str, object]:
        """State of services and workers, as `/healthz` has it (docs/http-api.md). Raises CallError."""
        return await self._run(self._plans.health())

    async def _run(self, plan: Plan[T]) -> T:
        go = partial(next, plan)
        while True:
            try:
                step = go()
            except StopIteration as end:
                value: T = end.value
                return value
            try:
                go = partial(plan.send, await self._do(step))
            except CallError as error:
                go = partial(plan.throw, error)

    async def _do(self, step: Send | Pause) -> Answer | None:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        with _translated(self._peer.url, step.timeout):
            async with asyncio.timeout(step.timeout):
                response = await self._http.request(**_options(step))
        return Answer(response.status_code, response.headers, response.content)


# ── httpx's words ─────────────────────────────────────────────────────────────────────────────────


class _Options(TypedDict):
    """Arguments of httpx's `request` and `stream`."""

    method: str
    url: str
    content: bytes | None
    headers: dict[str, str]
    timeout: httpx.Timeout


def _options(send: Send) -> _Options:
    return {
        "method": send.method,
        "url": send.url,
        "content": send.body or None,
        "headers": {"content-type": "application/json"} if send.body else {},
        "timeout": httpx.Timeout(send.timeout, connect=min(CONNECT_TIMEOUT, send.timeout)),
    }


@contextlib.contextmanager
def _translated(url: str, seconds: float) -> Iterator[None]:
    """Errors of httpx as ours. Only where nothing was sent there may be another try."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        words = "it does not answer" if isinstance(error, httpx.ConnectTimeout) else str(error)
        raise NotReachable(f"no server at {url}: {words}", retry_after=0.0) from None
    except httpx.ProxyError as error:
        raise NotReachable(f"the proxy on the way to {url} refused: {error}") from None
    except (httpx.TimeoutException, TimeoutError):
        raise TimedOut(f"no answer from {url} within {seconds:.3g} seconds") from None
    except httpx.TransportError as error:
        raise ConnectionLost(f"the connection to {url} broke before the answer was there: {error}") from None
    except httpx.DecodingError as error:
        raise ServerFailed(f"the answer of {url} cannot be decoded: {error}") from None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
