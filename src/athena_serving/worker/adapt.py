"""A loaded wrapper, ready to be called: turns calls into its objects and its answers into replies.

Wrappers were written against many versions of ASF's loader, which passed arguments by position in different orders
and numbers; what never changed is what authors called them. So each method is looked at once, here
(`sdk/binding.py`), and afterwards called with what its parameters are called (wrapper.md 2.1, the adapter rule).
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Final, cast

from athena_serving.errors import CallbackFailed, CreateFailed, MethodMissing, OnceFailed, WrapperNotLoadable
from athena_serving.sdk.binding import Bound, bind
from athena_serving.sdk.callback import sessions as registry
from athena_serving.sdk.context import Context
from athena_serving.sdk.data import Response
from athena_serving.wire.messages import Call, Piece, Reply, Status
from athena_serving.worker import batches, generators, inputs, load, outputs, remedies, resources
from athena_serving.worker.batches import Batches
from athena_serving.worker.failures import Failures, said
from athena_serving.worker.gate import Gate
from athena_serving.worker.generators import Generators
from athena_serving.worker.interrupts import CallInterrupted
from athena_serving.worker.resources import Persons, Resources
from athena_serving.worker.sessions import Sessions
from athena_serving.worker.streams import Stream

log = logging.getLogger(__name__)

_ONCE: Final = "wrapperOnceExec"


class Adapter:
    """`wrapper` is the instance that `load.construct` made, `file` the path it came from."""

    def __init__(
        self,
        wrapper: object,
        file: str,
        outputs_of: Mapping[str, int] | None = None,
        *,
        folder: Path | None = None,
        most: int = 64,
    ) -> None:
        """`outputs_of` are the service's outputs, name to data type, in order.

        `folder` has the personal resources, if there are any, of which a worker keeps `most` loaded.
        """
        self._file = file
        self._failures = Failures(wrapper, file)
        self._init, self._fini = (
            None if (method := load.method_of(wrapper, name)) is None else bind(method, role)
            for name, role in (("wrapperInit", "init"), ("wrapperFini", "fini"))
        )
        once = load.method_of(wrapper, "wrapperOnceExec")
        self._once = None if once is None else bind(once, "once")
        later = load.method_of(wrapper, "wrapperOnceExecAsync") if once is None else None
        self._later = None if later is None else bind(later, "once_async")
        self.is_async = inspect.iscoroutinefunction(once)
        """Are once-calls coroutines?"""
        # ASF's first style fills a list of dicts that it is given; where a module has no such function, the style is
        # known by its being a module.
        is_old = isinstance(wrapper, load.Functions) if self._once is None else self._once.takes("response_list")
        self._request: Callable[[Sequence[Piece]], object] = inputs.old_nodes if is_old else inputs.nodes
        self._reply = self._old_reply if is_old else self._new_reply
        self.sessions = Sessions(wrapper, self._failures, is_old=is_old)
        stream = load.method_of(wrapper, generators.METHOD)
        self.generators = None if stream is None else Generators(stream, self._failures, outputs_of or {})
        batch = load.method_of(wrapper, batches.METHOD)
        if inspect.iscoroutinefunction(batch):
            raise batches.refuse_coroutine(file)
        self.resources = None if folder is None else Resources(wrapper, self._failures, folder, most, is_old=is_old)
        if self.resources is not None and self.resources.is_async:
            raise resources.refuse_coroutine(file)
        self.batches = None if batch is None else Batches(batch, self._failures, self._answer, self.resources)

    @property
    def can_warm_up(self) -> bool:
        """Is there a method for one call that answers at once?"""
        return not self.is_async and (self._once is not None or self.batches is not None)

    def warm_up(self, call: Call, context: Context) -> Reply:
        """A call before the first caller's."""
        if self.batches is not None:
            return self.batches.try_one(call, context)
        return self.once(call, context)

    def session(self, call: Call, context: Context, stream: Stream) -> None:
        """Run a session on this thread, to its end. Raises nothing."""
        run = self.sessions.run if self.generators is None else self.generators.run
        if self.resources is None:
            run(call, context, stream)
            return
        held = self.resources.hold(call, context, CreateFailed)
        if isinstance(held, Reply):
            stream.emit(held)
            return
        with held as persons:
            run(call, context, stream, persons)

    async def session_async(self, call: Call, context: Context, stream: Stream) -> None:
        """The same for a generator that is a coroutine. Cancelled, it closes it."""
        if self.generators is None:
            raise RuntimeError("only generators are coroutines")
        if self.resources is None:
            await self.generators.run_async(call, context, stream)
            return
        held = await self.resources.hold_async(call, context, CreateFailed)
        if isinstance(held, Reply):
            await stream.emit_async(held)
            return
        with held as persons:
            await self.generators.run_async(call, context, stream, persons)

    def init(self, config: Mapping[str, str]) -> None:
        """Run `wrapperInit`. Raises `WrapperNotLoadable` for a number that is not 0, and what user code raises."""
        code = 0 if self._init is None else self._init({"config": dict(config)})
        if code is None:
            log.warning("wrapperInit returned None; taken for 0. Return 0 when all is well.")
        elif code != 0:
            text = self._failures.text(code) if isinstance(code, int) else ""
            raise WrapperNotLoadable(
                f"wrapperInit returned {code!r}{f': {text}' if text else ''}",
                where=self._file,
                help="wrapperInit returns 0 when all is well; the log has what it printed",
            )

    def fini(self) -> None:
        """Unload what is loaded and run `wrapperFini`; what they return is ignored, what they raise is logged."""
        if self.resources is not None:
            self.resources.close()
        if self._fini is None:
            return
        try:
            self._fini({})
        except BaseException:  # user code; we are on the way out and must get there
            log.exception("wrapperFini raised")

    def once(self, call: Call, context: Context, persons: Persons = ()) -> Reply:
        """Run a once-call. What user code does wrong becomes a reply with a code; raises only `CallInterrupted`."""
        if self._once is None:
            return self._once_later(call, context, persons)
        filled: list[object] = []
        with context:
            try:
                return self._reply(self._call(self._once, call, context, filled, persons), filled, call.sid)
            except CallInterrupted:
                raise
            except BaseException as error:  # user code: SystemExit and KeyboardInterrupt end a call only
                return self._failures.raised(OnceFailed, _ONCE, error, call.sid)

    def once_held(self, call: Call, context: Context, gate: Gate) -> Reply | None:
        """The same once its resources are loaded; user code is interrupted by the gate, and then there is no reply."""
        if self.resources is None:
            raise RuntimeError("there is no folder of resources")
        held = self.resources.hold(call, context, OnceFailed)
        if isinstance(held, Reply):
            return held
        with held as persons:
            try:
                with gate:
                    return self.once(call, context, persons)
            except CallInterrupted:
                return None

    async def once_held_async(self, call: Call, context: Context) -> Reply:
        """The same for a wrapper whose method is a coroutine; cancelled as every coroutine is."""
        if self.resources is None:
            raise RuntimeError("there is no folder of resources")
        held = await self.resources.hold_async(call, context, OnceFailed)
        if isinstance(held, Reply):
            return held
        with held as persons:
            return await self.once_async(call, context, persons)

    async def once_async(self, call: Call, context: Context, persons: Persons = ()) -> Reply:
        """`once` for a wrapper whose method is a coroutine."""
        if self._once is None:
            return _lacking()
        filled: list[object] = []
        with context:
            try:
                running = cast("Awaitable[object]", self._call(self._once, call, context, filled, persons))
                return self._reply(await running, filled, call.sid)
            except asyncio.CancelledError as error:
                if context.cancelled:
                    raise
                # Nobody cancelled the call: user code let one of its own through.
                return self._failures.raised(OnceFailed, _ONCE, error, call.sid)
            except BaseException as error:  # user code: SystemExit would end the loop, others leave the call unanswered
                return self._failures.raised(OnceFailed, _ONCE, error, call.sid)

    def _once_later(self, call: Call, context: Context, persons: Persons) -> Reply:
        """A once-call whose answer comes by `callback`, and holds its seat until then (wrapper.md 2.2)."""
        if self._later is None:
            return _lacking()
        answers: SimpleQueue[Response | None] = SimpleQueue()
        context.on_cancel(lambda: answers.put(None))  # whoever waits for an answer hears of the end
        entry = registry.open(call.sid, call.sid, answers.put)
        try:
            with context:
                code = self._call(self._later, call, context, [], persons)
                number = 0 if code is None else outputs.number(code)
                if number is None:
                    return said(OnceFailed, f"wrapperOnceExecAsync returned {type(code).__name__}, not a number")
                if number:
                    return self._failures.coded(OnceFailed, number)
            answer = answers.get()
        except CallInterrupted:
            raise
        except BaseException as error:  # user code
            return self._failures.raised(OnceFailed, "wrapperOnceExecAsync", error, call.sid)
        finally:
            entry.close()
        if answer is None:
            return said(OnceFailed, "nobody waits for the answer any more")
        if answer.error_code:
            return self._failures.coded(CallbackFailed, answer.error_code)
        return self._answer(answer, call.sid)

    def _answer(self, answer: object, sid: str) -> Reply:
        return self._new_reply(answer, [], sid)

    def _call(self, once: Bound, call: Call, context: Context, filled: list[object], persons: Persons) -> object:
        """Call user code with what its parameters ask for; `bind` knows what they get that is not here."""
        values = {
            "params": call.params,
            "request": self._request(call.pieces),
            "tag": call.sid,
            "sid": call.sid,
            "person": 0,
            "response_list": filled,
            "context": context,
        }
        if persons:
            values |= {"person": persons[0], "persons": persons}
        return once(values)

    def _new_reply(self, answer: object, _: list[object], sid: str) -> Reply:
        """A `Response` as a reply (wrapper.md 2.3): items get status 3, a code or nothing is a failure."""
        if not isinstance(answer, Response):
            words = f"{_ONCE} returned {type(answer).__name__}, not a Response"
            return self._slip(words, sid, remedies.returned(answer, _ONCE))
        if answer.error_code:
            return self._failures.coded(OnceFailed, answer.error_code)
        if not (items := answer.outputs):
            return self._slip(f"{_ONCE} returned a Response with an empty list", sid, remedies.returned(answer, _ONCE))
        return Reply([outputs.piece(item, Status.ONCE) for item in items], Status.ONCE)

    def _old_reply(self, answer: object, filled: list[object], sid: str) -> Reply:
        """A code and the list that was filled, as a reply (wrapper.md 2.4)."""
        if isinstance(answer, Response):
            return self._new_reply(answer, filled, sid)
        code = outputs.number(answer)
        if code is None:
            return self._slip(
                f"{_ONCE} returned {type(answer).__name__}, not a number", sid, "return 0 when all is well"
            )
        if code:
            return self._failures.coded(OnceFailed, code)
        if not filled:
            return self._slip(f"{_ONCE} left respData empty", sid, 'respData.append({"key": "...", "data": b"..."})')
        return Reply([outputs.old_piece(item, Status.ONCE) for item in filled], Status.ONCE)

    def _slip(self, words: str, sid: str, help_text: str) -> Reply:
        return self._failures.slip(OnceFailed, _ONCE, words, sid=sid, help_text=help_text)


def _lacking() -> Reply:
    """A new one a call: the engine writes into it."""
    return Reply(code=MethodMissing.code, message="the wrapper has no wrapperOnceExec(params, reqData)")
