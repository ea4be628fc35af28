"""A client of sessions over WebSockets, with bounded waits, for the tests of what ASF's clients see.

with Talk(server.port, "/v1/private/speech") as talk: send frames, `hear` frames, and hear how the server closes.
"""

import base64
import json
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Final, Self

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.compat.golden import Answer, Json

PATIENCE: Final = 15.0
"""Seconds that a frame or a close is waited for; a busy machine included."""
KINDS: Final = {"audio": "audio", "picture": "image"}
"""Input to the key that its data are under; `text` for all others."""


class Talk:
    """One connection. Frames are dicts, or text or bytes as they are to be sent."""

    def __init__(self, port: int, path: str, headers: Mapping[str, str] | None = None) -> None:
        self._place = f"ws://127.0.0.1:{port}{path}"
        self._headers = dict(headers or {})
        self._open = ExitStack()
        self._connection: ClientConnection | None = None

    def __enter__(self) -> Self:
        self._connection = self._open.enter_context(
            connect(
                self._place,
                additional_headers=self._headers,
                compression=None,
                proxy=None,
                ping_interval=None,
                open_timeout=PATIENCE,
                close_timeout=PATIENCE,
            )
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def connection(self) -> ClientConnection:
        """The connection itself."""
        assert self._connection is not None, "it was not opened"
        return self._connection

    def send(self, *frames: Json | str | bytes) -> None:
        """Send frames, one after another."""
        for one in frames:
            self.connection.send(json.dumps(one) if isinstance(one, dict) else one)

    def hear(self, timeout: float = PATIENCE) -> Json:
        """The next frame; a close instead, or silence, fails the test."""
        try:
            message = self.connection.recv(timeout)
        except ConnectionClosed as closed:
            pytest.fail(f"closed instead of a frame: {_ending(closed)}")
        except TimeoutError:
            pytest.fail(f"no frame within {timeout:g} s")
        assert isinstance(message, str), "the server always sends text"
        found: Json = json.loads(message)
        return found

    def hear_last(self) -> list[Json]:
        """All frames up to the one that says that it is the last, or failed."""
        frames = [self.hear()]
        while frames[-1]["header"]["status"] < 2 and not frames[-1]["header"]["code"]:
            frames.append(self.hear())
        return frames

    def end(self, timeout: float = PATIENCE) -> tuple[int, str]:
        """How the server closes, which must be the next that comes: code and reason."""
        try:
            message = self.connection.recv(timeout)
        except ConnectionClosed as closed:
            return _ending(closed)
        except TimeoutError:
            pytest.fail(f"not closed within {timeout:g} s")
        pytest.fail(f"a frame instead of the close: {message!r}")

    def leave(self) -> list[Json]:
        """Close, and give the frames that had come and were not heard."""
        self.connection.close()
        rest: list[Json] = []
        try:
            while True:
                rest.append(json.loads(self.connection.recv(0)))
        except ConnectionClosed:
            return rest


def refused(port: int, path: str) -> Answer:
    """The HTTP answer to a handshake that is refused."""
    try:
        with Talk(port, path):
            pytest.fail("the handshake was accepted")
    except InvalidStatus as refusal:
        answer = refusal.response
        headers = {name.lower(): value for name, value in answer.headers.raw_items()}
        return Answer(answer.status_code, headers, (answer.body or b"").decode())


def frame(service: str, status: int, *, params: Mapping[str, Any] | None = None, **inputs: bytes | None) -> Json:
    """One frame of a session: its status is the header's and that of all its inputs.

    An input that is None comes without data. The parameters are sent only if they are given.
    """
    document: Json = {"header": {"app_id": "123456", "status": status}}
    if params is not None:
        document["parameter"] = {service: dict(params)}
    if inputs:
        document["payload"] = {key: _block(key, data, status) for key, data in inputs.items()}
    return document


def data_of(document: Json, key: str = "result") -> bytes:
    """One output of a frame, as bytes."""
    block = document["payload"][key]
    return base64.b64decode(next(block[kind] for kind in ("text", "audio", "image") if kind in block))


def _block(key: str, data: bytes | None, status: int) -> Json:
    if data is None:
        return {"status": status}
    return {KINDS.get(key, "text"): base64.b64encode(data).decode(), "status": status}


def _ending(closed: ConnectionClosed) -> tuple[int, str]:
    frame = closed.rcvd
    return (1006, "") if frame is None else (frame.code, frame.reason)
