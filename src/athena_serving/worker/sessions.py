"""Sessions inside a worker: one stream of steps to one wrapper, from `wrapperCreate` to `wrapperDestroy`.

The engine does not open sessions yet; only tests do.

    create ──► Session ── write, read, ... ──► destroy     exactly once, whatever ended it
       └─────► Reply 10905                                   nothing to destroy

Each failure is a reply with the code of its method, and ends the session (wrapper.md 2.3, 5.5). What a wrapper sends
by `callback` goes to `send`, on the thread that called it, from the moment `wrapperCreate` is called.
"""

import logging
import threading
from collections.abc import Callable, Sequence

from athena_serving.errors import CallbackFailed, CreateFailed, MethodMissing, ReadFailed, WriteFailed
from athena_serving.sdk.binding import bind
from athena_serving.sdk.callback import sessions
from athena_serving.sdk.context import Context
from athena_serving.sdk.data import Response
from athena_serving.wire.messages import Call, Reply
from athena_serving.worker import inputs, load, outputs
from athena_serving.worker.failures import Failures, said
from athena_serving.worker.outputs import Read
from athena_serving.worker.tasks import CallInterrupted

log = logging.getLogger(__name__)

Send = Callable[[Reply], object]
"""Takes what a wrapper sends by `callback`. Any thread; must not wait for the wrapper."""


class Sessions:
    """Opens sessions of one wrapper. Its methods are bound here, once."""

    def __init__(self, wrapper: object, failures: Failures, *, is_old: bool) -> None:
        create = load.method_of(wrapper, "wrapperCreate")
        self._create = None if create is None else bind(create, "create")
        self._methods = Methods(wrapper, failures, is_old=is_old)
        self._failures = failures

    def create(self, call: Call, context: Context, send: Send = lambda _: None) -> "Session | Reply":
        """Begin a session with the first call's parameters; its data are for `write`.

        A reply instead says why there is none: it failed, or the wrapper has no `wrapperCreate`.
        """
        if self._create is None:
            return Reply(code=MethodMissing.code, message="the wrapper has no wrapperCreate(params, sid)")
        session = Session(self._methods, call, context, send)
        values = {"params": call.params, "tag": call.sid, "sid": call.sid, "context": context}
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
        self.destroy = bind(load.method_or_default(wrapper, "wrapperDestroy"), "destroy")
        self.failures = failures
        self.request: Callable[[Call], object] = inputs.old_nodes if is_old else inputs.nodes
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
        self._is_over = self._is_answered = False
        self._entry = sessions.open(call.sid, call.sid, self._deliver)

    def write(self, call: Call) -> Reply | None:
        """Hand one step's inputs over; None if all is well."""
        values = {"request": self._methods.request(call), "params": call.params, **self._names()}
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

    def _deliver(self, response: Response) -> None:
        """What the wrapper sends by `callback`, one at a time; after the last, `callback` finds nobody."""
        with self._sending:
            if self._is_answered:
                return  # it was looked up a moment before
            reply = self._sent(response)
            if reply.is_last:
                self._is_answered = True
                self._entry.close()
            self._send(reply)

    def _sent(self, response: Response) -> Reply:
        if response.error_code:
            return self._methods.failures.coded(CallbackFailed, response.error_code)
        try:
            return outputs.step(response.outputs, self._methods.item)
        except (TypeError, ValueError) as error:
            return self._methods.failures.raised(CallbackFailed, "callback", error, self._sid)
