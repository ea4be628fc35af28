"""Forms of an answer over HTTP to one request: one body, events, lines, or a session's steps collected.

    plain      one JSON body                                     any Accept
    collected  one JSON body of all steps of a session           any Accept, where the service only has sessions
    events     server-sent events, one a step                    Accept: text/event-stream
    lines      one JSON object a line, one a step                Accept: application/x-ndjson

Until its first step an answer of many can still fail as any other, with a status; after it, by its last event.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Final

from athena_serving.errors import AthenaError, OutputInvalid
from athena_serving.gateway.exchange import Exchange, Message
from athena_serving.wire.envelope import Steps
from athena_serving.wire.messages import Expect, Piece, Reply, Status

Send = Callable[[Message], Awaitable[None]]

GATHERED: Final = 1 << 16
"""Bytes of steps that wait together and leave in one write, at most."""


class Stream(ABC):
    """Writes steps as they come: `Events` or `Lines`."""

    kind: bytes
    """Its content type."""

    def __init__(self, steps: Steps, exchange: Exchange, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        self._steps = steps
        self._exchange = exchange
        self._send = send
        self._headers = headers
        self._waiting: list[bytes] = []
        self._size = 0
        self._count = 0
        self.has_begun = False
        """Has a byte of it left?"""

    async def push(self, reply: Reply) -> None:
        """Send a step, together with those that are here already. Raises OutputInvalid."""
        try:
            for step in (reply, *reply.more):
                if not step.pieces and step.status < Status.END:
                    continue  # an acknowledgement is for who may go on talking
                document = self._steps.encode(step, min(step.status, Status.END))
                self._count += 1
                self._add(self._frame(document))
                if self._size >= GATHERED:
                    await self._flush()
        finally:  # what is good of them, where one is not in the schema
            if self._waiting:
                await self._flush()

    async def breathe(self, seconds: float) -> None:
        """Send a comment whenever nothing has left for so many seconds. For a task beside."""
        while True:
            before = self._exchange.bytes_out
            await asyncio.sleep(seconds)
            if self._exchange.bytes_out == before and (breath := self._breath()):
                self._add(breath)
                await self._flush()

    async def fail(self, error: AthenaError) -> None:
        """The last event tells what went wrong."""
        self._add(self._error(self._steps.encode_error(error)))
        await self._flush()

    async def end(self) -> None:
        """All was sent."""
        if self._waiting or not self.has_begun:
            await self._flush()
        await self._send({"type": "http.response.body", "body": b""})

    async def _flush(self) -> None:
        body = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        exchange = self._exchange
        if not self.has_begun:
            self.has_begun = True
            exchange.status = 200
            await self._send({"type": "http.response.start", "status": 200, "headers": self._headers})
        exchange.bytes_out += len(body)
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    def _add(self, part: bytes) -> None:
        self._waiting.append(part)
        self._size += len(part)

    @abstractmethod
    def _frame(self, document: bytes) -> bytes:
        """A step."""

    @abstractmethod
    def _error(self, document: bytes) -> bytes:
        """A failure, after which nothing comes."""

    @abstractmethod
    def _breath(self) -> bytes:
        """What may stand between two steps and says nothing; empty if nothing may."""


class Events(Stream):
    """Server-sent events (the HTML standard, 9.2): JSON has no line break, so an event's data are one line."""

    kind = b"text/event-stream; charset=utf-8"

    def _frame(self, document: bytes) -> bytes:
        return b"id: %d\ndata: %b\n\n" % (self._count, document)

    def _error(self, document: bytes) -> bytes:
        return b"event: error\ndata: %b\n\n" % document

    def _breath(self) -> bytes:
        return b": keep-alive\n\n"


class Lines(Stream):
    """One JSON object a line."""

    kind = b"application/x-ndjson"

    def _frame(self, document: bytes) -> bytes:
        return document + b"\n"

    def _error(self, document: bytes) -> bytes:
        return document + b"\n"

    def _breath(self) -> bytes:
        return b""  # a line is an object: there is nothing to say between two


class Collected:
    """Gathers a session's steps into the one reply that a plain request gets."""

    def __init__(self, expects: list[Expect], limit: int) -> None:
        """`limit`: bytes of data that may be gathered."""
        self._wants_json = {expect.key for expect in expects if expect.desc.get("format") == "json"}
        self._limit = limit
        self._size = 0
        self._parts: dict[str, tuple[int, list[bytes]]] = {}

    async def push(self, reply: Reply) -> None:
        """Keep a step. Raises OutputInvalid when they are too many."""
        for piece in (piece for step in (reply, *reply.more) for piece in step.pieces):
            self._size += len(piece.data)
            if self._size > self._limit:
                raise OutputInvalid(
                    f"the answer has more than {self._limit} bytes: ask for it step by step, by WebSocket or with "
                    "Accept: text/event-stream"
                )
            _, parts = self._parts.setdefault(piece.key, (piece.type, []))
            if piece.data:
                parts.append(bytes(piece.data))

    def reply(self) -> Reply:
        """Each output's pieces, joined; those of JSON become an array."""
        pieces = [
            Piece(key, kind, Status.ONCE, {}, _array(parts) if key in self._wants_json else b"".join(parts))
            for key, (kind, parts) in self._parts.items()
        ]
        return Reply(pieces, Status.ONCE)


def _array(parts: list[bytes]) -> bytes:
    try:
        for part in parts:
            json.loads(part)
    except (ValueError, RecursionError):
        return b"".join(parts)
    return b"[" + b",".join(parts) + b"]"


def form(accept: bytes | None) -> type[Stream] | None:
    """The form that a request asks for; None for one body."""
    if accept is None:
        return None
    if b"text/event-stream" in accept:
        return Events
    if b"application/x-ndjson" in accept:
        return Lines
    return None
