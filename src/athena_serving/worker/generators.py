"""Sessions of the recommended form: `wrapperStream(self, params, pieces)`, a generator or an async generator.

    def wrapperStream(self, params, pieces):
        for piece in pieces:                      # a DataListNode: key, data, type, status, desc
            yield model(piece.data)

What it yields goes to the caller at once; when it returns, the caller gets the last step. When nobody waits any more
it is interrupted, or closed where it stands: its `finally` runs.
"""

import asyncio
import inspect
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Final, cast

from athena_serving.errors import OnceFailed
from athena_serving.sdk.binding import bind
from athena_serving.sdk.context import Context
from athena_serving.sdk.data import DataListNode, Datum, Response
from athena_serving.wire.messages import Call, Piece, Reply, Status, Step
from athena_serving.worker import inputs, outputs
from athena_serving.worker.failures import Failures
from athena_serving.worker.interrupts import CallInterrupted
from athena_serving.worker.resources import Persons
from athena_serving.worker.streams import Stream

METHOD: Final = "wrapperStream"
_DONE: Final = object()


class Generators:
    """Runs one wrapper's generator, a session each. `outputs` are the service's, name to data type, in order."""

    def __init__(self, method: Callable[..., object], failures: Failures, outputs_of: Mapping[str, int]) -> None:
        self._bound = bind(method, "stream")
        self._failures = failures
        self._first = next(iter(outputs_of.items()), None)
        """The output that plain values are data of."""
        self.is_async = inspect.isasyncgenfunction(method) or inspect.iscoroutinefunction(method)

    def run(self, call: Call, context: Context, stream: Stream, persons: Persons = ()) -> None:
        """One session, on this thread. Raises nothing."""
        used: dict[str, int] = {}
        try:
            with context:
                if self._drive(_values(call, context, Pieces(call, stream), persons), stream, used):
                    stream.emit(_last(used))
        except CallInterrupted:
            pass  # nobody waits
        except BaseException as error:  # user code: SystemExit and KeyboardInterrupt end a session only
            self._fail(stream, error, call.sid)

    async def run_async(self, call: Call, context: Context, stream: Stream, persons: Persons = ()) -> None:
        """One session, in a coroutine. Cancelled, it closes the generator."""
        used: dict[str, int] = {}
        try:
            with context:
                values = _values(call, context, AsyncPieces(call, stream), persons)
                if await self._drive_async(values, stream, used):
                    await stream.emit_async(_last(used))
        except asyncio.CancelledError as error:
            if not stream.is_stopped:  # user code let one of its own through
                await stream.emit_async(self._failures.raised(OnceFailed, METHOD, error, call.sid))
        except BaseException as error:  # user code
            if not stream.is_closed:
                await stream.emit_async(self._failures.raised(OnceFailed, METHOD, error, call.sid))

    def _drive(self, values: Mapping[str, object], stream: Stream, used: dict[str, int]) -> bool:
        """Send what the generator yields; False if the last step was among it, or nobody takes any."""
        stream.resume()
        try:
            answer = self._bound(values)
            iterator = iter(
                answer if hasattr(answer, "__iter__") and not isinstance(answer, str | bytes) else _refuse(answer)
            )
        finally:
            stream.pause()
        stream.emit(Reply([], Status.BEGIN))
        try:
            while True:
                stream.resume()
                try:
                    item = next(iterator, _DONE)
                finally:
                    stream.pause()
                if item is _DONE:
                    return True
                reply = self._reply(item, used)
                if not stream.emit(reply) or reply.is_last:
                    return False
        finally:
            _close(iterator)

    async def _drive_async(self, values: Mapping[str, object], stream: Stream, used: dict[str, int]) -> bool:
        answer = self._bound(values)
        if inspect.iscoroutine(answer):
            answer = await answer
        if not hasattr(answer, "__aiter__"):
            _refuse(answer)
        iterator = cast("AsyncIterator[object]", answer).__aiter__()
        await stream.emit_async(Reply([], Status.BEGIN))
        try:
            async for item in iterator:
                reply = self._reply(item, used)
                if not await stream.emit_async(reply) or reply.is_last:
                    return False
            return True
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()

    def _reply(self, item: object, used: dict[str, int]) -> Reply:
        """What was yielded, as a step."""
        if type(item) is str and self._first is not None:  # most are
            key, kind = self._first
            used[key] = kind
            return Reply([Piece(key, kind, _MORE, {}, item.encode(errors="replace"))], _MORE)
        if isinstance(item, Response):
            if item.error_code:
                return self._failures.coded(OnceFailed, item.error_code)
            items: list[object] = [*item.outputs]
        elif isinstance(item, list | tuple) and item and all(isinstance(one, Datum) for one in item):
            items = [*item]
        elif isinstance(item, Datum):
            items = [item]
        else:
            return Reply([self._plain(item, used)], Status.CONTINUE)
        pieces = [outputs.piece(one, Status.END if getattr(one, "status", 0) == Status.END else _MORE) for one in items]
        used.update((piece.key, piece.type) for piece in pieces)
        ended = any(piece.status == Status.END for piece in pieces)
        return Reply(pieces, Status.END if ended else Status.CONTINUE)

    def _plain(self, item: object, used: dict[str, int]) -> Piece:
        """Bytes, text, or a value for JSON: data of the first output that the service declares."""
        if self._first is None:
            raise TypeError(f"{METHOD} yielded {type(item).__name__}, and the service declares no output")
        key, kind = self._first
        used[key] = kind
        if isinstance(item, str):
            return Piece(key, kind, Status.CONTINUE, {}, item.encode(errors="replace"))
        if isinstance(item, bytes | bytearray | memoryview):
            return Piece(key, kind, Status.CONTINUE, {}, bytes(item))
        if isinstance(item, Mapping | list | tuple | int | float):
            return Piece(key, kind, Status.CONTINUE, {}, json.dumps(item, ensure_ascii=False).encode())
        raise TypeError(
            f"{METHOD} yielded {type(item).__name__}: yield str, bytes, a dict for JSON, or ResponseData(key, data)"
        )

    def _fail(self, stream: Stream, error: BaseException, sid: str) -> None:
        if not stream.is_closed:
            stream.emit(self._failures.raised(OnceFailed, METHOD, error, sid))


_MORE: Final = int(Status.CONTINUE)


class Pieces:
    """The caller's pieces, one after another, for `for piece in pieces`; it ends after the caller's last."""

    def __init__(self, call: Call, stream: Stream) -> None:
        self._params = call.params
        self._stream = stream
        self._nodes: deque[DataListNode] = deque()
        self._is_over = False

    def __iter__(self) -> Iterator[DataListNode]:
        return self

    def __next__(self) -> DataListNode:
        """Raises `CallInterrupted` when nobody waits any more."""
        while not self._nodes:
            step = None if self._is_over else self._stream.take_for_user()
            if step is None:
                self._is_over = True
                raise StopIteration
            self._nodes += _opened(step, self._params)
        return self._nodes.popleft()


class AsyncPieces:
    """The same for `async for piece in pieces`."""

    def __init__(self, call: Call, stream: Stream) -> None:
        self._params = call.params
        self._stream = stream
        self._nodes: deque[DataListNode] = deque()
        self._is_over = False

    def __aiter__(self) -> AsyncIterator[DataListNode]:
        return self

    async def __anext__(self) -> DataListNode:
        while not self._nodes:
            step = None if self._is_over else await self._stream.take_async()
            if step is None:
                self._is_over = True
                raise StopAsyncIteration
            self._nodes += _opened(step, self._params)
        return self._nodes.popleft()


def _opened(step: Step, params: dict[str, str]) -> list[DataListNode]:
    """A step's nodes; parameters that came with it count from here on."""
    params.update(step.params)
    return [inputs.node(piece) for piece in step.pieces]


def _values(call: Call, context: Context, pieces: object, persons: Persons) -> dict[str, object]:
    person = persons[0] if persons else 0
    names = {"sid": call.sid, "tag": call.sid, "context": context, "person": person}
    return {"params": call.params, "pieces": pieces, **names}


def _last(used: Mapping[str, int]) -> Reply:
    """The last step of a generator that has returned: each output that it used ends, empty."""
    return Reply([Piece(key, kind, Status.END) for key, kind in used.items()], Status.END)


def _close(iterator: object) -> None:
    """Let a generator run its `finally`."""
    close = getattr(iterator, "close", None)
    if close is not None:
        close()


def _refuse(answer: object) -> Iterator[object]:
    raise TypeError(f"{METHOD} returned {type(answer).__name__}: it must yield its results")
