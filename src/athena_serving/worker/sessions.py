"""Sessions inside a worker: one stream of steps to one wrapper, from `wrapperCreate` to `wrapperDestroy`.

    create ──► Session ── write, read, ... ──► destroy     exactly once, whatever ended it
       └─────► Reply 10905                                   nothing to destroy

Each failure is a reply with the code of its method, and ends the session (wrapper.md 2.3, 5.5). What a wrapper sends
by `callback` goes to `send`, on the thread that called it, from the moment `wrapperCreate` is called. `Sessions.run`
is the whole of it for a session's thread.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from athena_serving.errors import CallbackFailed, CreateFailed, MethodMissing, ReadFailed, WriteFailed
from athena_serving.sdk.binding import bind
from athena_serving.sdk.callback import sessions
from athena_serving.sdk.context import Context
from athena_serving.sdk.data import Response
from athena_serving.wire.messages import Call, Piece, Reply, Status
from athena_serving.worker import inputs, load, outputs
from athena_serving.worker.failures import Failures, said
from athena_serving.worker.interrupts import CallInterrupted
from athena_serving.worker.outputs import Read
from athena_serving.worker.resources import Persons
from athena_serving.worker.streams import Stream

log = logging.getLogger(__name__)

Send = Callable[[Reply], object]
"""Takes what a wrapper sends by `callback`, on any thread. False if nobody takes it any more, else anything."""
POLL: Final = 0.05
"""Seconds between two calls of `wrapperRead` after the caller's last step, as in ASF (wrapper.md 5.5)."""
EMPTY_READS: Final = 100
"""Of these in a row after the caller's last step, the session ends: about 5 s (wrapper.md 5.5)."""


class Sessions:
    """Opens sessions of one wrapper. Its methods are bound here, once."""

    def __init__(self, wrapper: object, failures: Failures, *, is_old: bool) -> None:
        create = load.method_of(wrapper, "wrapperCreate")
        self._create = None if create is None else bind(create, "create")
        self._methods = Methods(wrapper, failures, is_old=is_old)
        self._failures = failures

    def run(self, call: Call, context: Context, stream: Stream, persons: Persons = ()) -> None:
        """One session, on this thread. Raises nothing."""
        session: Session | None = None
        try:
            # Not interrupted: whatever `wrapperCreate` began must be known, to be destroyed.
            opened = self.create(call, context, stream.emit, persons)
            if isinstance(opened, Reply):
                stream.emit(opened)
                return
            session = opened
            stream.emit(Reply([], Status.BEGIN))
            session.serve(call, stream)
        except CallInterrupted:
            pass  # nobody waits
        finally:
            if session is not None:
                session.destroy()

    def create(
        self, call: Call, context: Context, send: Send = lambda _: None, persons: Persons = ()
    ) -> "Session | Reply":
        """Begin a session with the first call's parameters; its data are for `write`.

        A reply instead says why there is none: it failed, or the wrapper has no `wrapperCreate`.
        """
        if self._create is None:
            return Reply(code=MethodMissing.code, message="the wrapper has no wrapperCreate(params, sid)")
        session = Session(self._methods, call, context, send)
        values: dict[str, object] = {"params": call.params, "tag": call.sid, "sid": call.sid, "context": context}
        if persons:
            values |= {"person": persons[0], "persons": persons}
        try:
            with context:
                failure = session.begin(self._create(values))
        except CallInterrupted:
            session.abandon()
            raise
        except BaseException as error:  # user code: SystemExit and KeyboardInterrupt end a session only
            failure = self._failures.raised(CreateFailed, "wrapperCreate", error, call.sid)
        if failure is None:
            return session
        session.abandon()
        return failure


class Methods:
    """What a wrapper has for a session that is there; where it has none, what `WrapperBase` does."""

    def __init__(self, wrapper: object, failures: Failures, *, is_old: bool) -> None:
        self.write = bind(load.method_or_default(wrapper, "wrapperWrite"), "write")
        self.read = bind(load.method_or_default(wrapper, "wrapperRead"), "read")
        self.has_read = load.method_of(wrapper, "wrapperRead") is not None
        self.destroy = bind(load.method_or_default(wrapper, "wrapperDestroy"), "destroy")
        self.failures = failures
        self.request: Callable[[Sequence[Piece]], object] = inputs.old_nodes if is_old else inputs.nodes
        self.item: Read = outputs.old_piece if is_old else outputs.piece


class Session:
    """One session, made by `Sessions.create`. One method at a time, on whichever thread; `destroy` on any."""

    def __init__(self, methods: Methods, call: Call, context: Context, send: Send) -> None:
        self.handle: object = None
        """What `wrapperCreate` called it; the wrapper gets it back as it was."""
        self._methods = methods
        self._sid = call.sid
        self._context = context
        self._send = send
        self._ending, self._sending = threading.Lock(), threading.Lock()
        self._is_over = self._is_answered = self._has_sent = False
        self._entry = sessions.open(call.sid, call.sid, self._deliver)

    def serve(self, call: Call, stream: Stream) -> None:
        """Hand over each step that comes, and send what comes back, until one side has had its last.

        Raises `CallInterrupted`.
        """
        while not stream.is_closed and (step := stream.take()) is not None:
            call.params.update(step.params)
            if step.pieces and not self._take_step(step.pieces, call.params, stream):
                return
            if self._methods.has_read and not self._send_read(stream):
                return
        self._await_results(stream)

    def write(self, pieces: Sequence[Piece], params: Mapping[str, str]) -> Reply | None:
        """Hand one step's inputs over; None if all is well."""
        values = {"request": self._methods.request(pieces), "params": params, **self._names()}
        try:
            with self._context:
                answer = self._methods.write(values)
                code = 0 if answer is None else outputs.number(answer)
                if code is None:
                    return said(WriteFailed, f"wrapperWrite returned {type(answer).__name__}, not a number")
                return self._methods.failures.coded(WriteFailed, code) if code else None
        except CallInterrupted:
            raise
        except BaseException as error:  # user code
            return self._methods.failures.raised(WriteFailed, "wrapperWrite", error, self._sid)

    def read(self) -> Reply | None:
        """Ask for outputs; None if there are none yet."""
        filled: list[object] = []
        try:
            with self._context:
                return self._answer(self._methods.read({"response_list": filled, **self._names()}), filled)
        except CallInterrupted:
            raise
        except BaseException as error:  # user code
            return self._methods.failures.raised(ReadFailed, "wrapperRead", error, self._sid)

    def destroy(self) -> None:
        """End it: `wrapperDestroy` is called the first time, whatever it returns or raises is logged at most."""
        with self._ending:
            if self._is_over:
                return
            self._is_over = True
        self._entry.close()
        try:
            with self._context:
                answer = self._methods.destroy(self._names())
        except CallInterrupted:
            raise
        except BaseException as error:  # user code
            self._methods.failures.note("wrapperDestroy", error, self._sid)
            return
        if answer:
            log.warning("wrapperDestroy returned %r", answer, extra={"fields": {"sid": self._sid}})

    # ── for Sessions ──────────────────────────────────────────────────────────────────────────────

    def begin(self, answer: object) -> Reply | None:
        """Take the handle out of what `wrapperCreate` returned; why there is none, otherwise."""
        if isinstance(answer, str):
            handle: object = answer
        elif hasattr(answer, "handle"):
            if code := getattr(answer, "error_code", 0):
                return self._methods.failures.coded(CreateFailed, code)
            handle = answer.handle
        elif code := outputs.number(answer):
            return self._methods.failures.coded(CreateFailed, code)
        else:
            return said(CreateFailed, f"wrapperCreate returned {type(answer).__name__}, not a SessionCreateResponse")
        if handle is None or handle == "":
            return said(CreateFailed, "wrapperCreate returned no handle")
        self.handle = handle
        self._entry.name(handle)
        return None

    def abandon(self) -> None:
        """It is not to be: destroy it, if there is anything to destroy."""
        if self.handle is None:
            self._entry.close()
        else:
            self.destroy()

    # ── inside ────────────────────────────────────────────────────────────────────────────────────

    def _names(self) -> dict[str, object]:
        """What every method may ask for."""
        return {"handle": self.handle, "sid": self._sid, "tag": self._sid, "context": self._context}

    def _answer(self, answer: object, filled: list[object]) -> Reply | None:
        """What `wrapperRead` returned, or filled as ASF's first style does."""
        if isinstance(answer, Response):
            if answer.error_code:
                return self._methods.failures.coded(ReadFailed, answer.error_code)
            items: Sequence[object] = answer.outputs
        elif isinstance(answer, list | tuple):
            items = answer
        elif code := outputs.number(answer):
            return self._methods.failures.coded(ReadFailed, code)
        elif answer is None or code == 0:
            items = filled
        else:
            return said(ReadFailed, f"wrapperRead returned {type(answer).__name__}, not a Response")
        return outputs.step(items, self._methods.item) if items else None

    def _take_step(self, pieces: Sequence[Piece], params: Mapping[str, str], stream: Stream) -> bool:
        """`wrapperWrite`; False if that ended the session."""
        stream.resume()
        try:
            failure = self.write(pieces, params)
        finally:
            stream.pause()
        if failure is not None:
            stream.emit(failure)
        return failure is None

    def _send_read(self, stream: Stream) -> bool:
        """`wrapperRead`, and its results to the caller; False if that ended the session."""
        reply = self._read_once(stream)
        if reply is None:
            return True
        return stream.emit(reply) and not reply.is_last

    def _read_once(self, stream: Stream) -> Reply | None:
        stream.resume()
        try:
            return self.read()
        finally:
            stream.pause()

    def _await_results(self, stream: Stream) -> None:
        """The caller has said all. Results come by `callback`, or are read until there are none for a while."""
        empty = 0
        while self._methods.has_read and empty < EMPTY_READS:
            if stream.wait(lambda: stream.is_closed, POLL) or stream.is_stopped:
                return
            reply = self._read_once(stream)
            empty = empty + 1 if reply is None else 0
            if reply is not None and (not stream.emit(reply) or reply.is_last):
                return
        if self._methods.has_read and not self._has_sent:
            stream.emit(Reply([], Status.END))
        else:
            stream.wait(lambda: stream.is_closed)

    def _deliver(self, response: Response) -> bool:
        """What the wrapper sends by `callback`, one at a time; after the last, `callback` finds nobody."""
        with self._sending:
            if self._is_answered:
                return False  # it was looked up a moment before
            reply = self._sent(response)
            self._has_sent = True
            if reply.is_last:
                self._is_answered = True
                self._entry.close()
            return self._send(reply) is not False

    def _sent(self, response: Response) -> Reply:
        if response.error_code:
            return self._methods.failures.coded(CallbackFailed, response.error_code)
        try:
            return outputs.step(response.outputs, self._methods.item)
        except (TypeError, ValueError) as error:
            return self._methods.failures.raised(CallbackFailed, "callback", error, self._sid)
