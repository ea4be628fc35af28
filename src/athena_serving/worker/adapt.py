"""Binds a user's wrapper once, by the names of its methods' parameters, and turns calls into its objects and back.

Wrappers were written against many versions of ASF's loader, which passed arguments by position in different orders
and numbers; what never changed is what authors called them (wrapper.md 2.1, the adapter rule). So each method is
looked at once, when it is loaded, and afterwards called with what its parameters are called.
"""

import asyncio
import inspect
import logging
import traceback
from collections.abc import Callable, Mapping
from operator import index
from types import TracebackType
from typing import Any, Final, SupportsIndex

from athena_serving.errors import OnceFailed, WrapperNotLoadable
from athena_serving.sdk.context import Context
from athena_serving.sdk.data import DataListCls, DataListNode, Datum, Response, ResponseData, to_bytes
from athena_serving.wire.messages import Call, DataType, Piece, Reply, Status
from athena_serving.worker import load
from athena_serving.worker.tasks import CallInterrupted

log = logging.getLogger(__name__)

_NAMES: Final = {
    "params": "params",
    **dict.fromkeys(("reqdata", "req", "datas", "data"), "request"),
    **dict.fromkeys(("usrtag", "usertag", "tag"), "tag"),
    **dict.fromkeys(("persid", "psrid", "psr"), "person"),
    "sid": "sid",
    **dict.fromkeys(("ctx", "context"), "context"),
}
"""What a parameter of a wrapper's method is called, in lower case, and what it is given."""

_BY_POSITION: Final = ("params", "request", "tag", "person")
"""Order in which the last of ASF's bridges passed arguments, for names that say nothing."""


class Adapter:
    """A loaded wrapper, ready to be called. Constructed by `worker/load.py`."""

    def __init__(self, wrapper: object, file: str) -> None:
        self._wrapper = wrapper
        self._file = file
        method = getattr(wrapper, "wrapperOnceExec", None)
        self._once: Callable[..., Any] | None = method
        self._filled = _bind(method) if method is not None else ()
        self.is_async = inspect.iscoroutinefunction(method)

    def init(self, config: Mapping[str, str]) -> None:
        """Run `wrapperInit`. Raises `WrapperNotLoadable` for a number that is not 0, and what user code raises."""
        method = getattr(self._wrapper, "wrapperInit", None)
        code = method(dict(config)) if method is not None else 0
        if code is None:
            log.warning("wrapperInit returned None; taken for 0. Return 0 when all is well.")
        elif code != 0:
            help_text = "wrapperInit returns 0 when all is well; the log has what it printed"
            raise WrapperNotLoadable(
                f"wrapperInit returned {code!r}{self._explain(code)}", where=self._file, help=help_text
            )

    def fini(self) -> None:
        """Run `wrapperFini`; what it returns is ignored, what it raises is logged."""
        method = getattr(self._wrapper, "wrapperFini", None)
        if method is None:
            return
        try:
            method()
        except BaseException:  # user code; we are on the way out and must get there
            log.exception("wrapperFini raised")

    def once(self, call: Call, context: Context) -> Reply:
        """Run a once-call. What user code does wrong becomes a reply with a code; raises only `CallInterrupted`."""
        with context:
            try:
                return self._reply(self._call(call, context))
            except CallInterrupted:
                raise
            except BaseException as error:  # user code: SystemExit and KeyboardInterrupt end a call only
                return self._failed(call, error)

    async def once_async(self, call: Call, context: Context) -> Reply:
        """The same for a wrapper whose method is a coroutine."""
        with context:
            try:
                return self._reply(await self._call(call, context))
            except asyncio.CancelledError as error:
                if context.cancelled:
                    raise
                return self._failed(call, error)  # nobody cancelled the call: user code let one of its own through
            except BaseException as error:  # user code: SystemExit would end the loop, others leave the call unanswered
                return self._failed(call, error)

    def _call(self, call: Call, context: Context) -> Any:  # whatever the wrapper returns
        if self._once is None:
            raise NotImplementedError("the wrapper has no wrapperOnceExec(params, reqData)")
        request = DataListCls(
            DataListNode(p.key, p.data, type=p.type, status=p.status, desc=p.desc) for p in call.pieces
        )
        values = {
            "params": call.params,
            "request": request,
            "tag": call.sid,
            "sid": call.sid,
            "person": 0,
            "context": context,
        }
        return self._once(*[values[name] for name in self._filled])

    def _reply(self, answer: object) -> Reply:
        """A wrapper's answer as a reply (wrapper.md 2.3): items get status 3, a code or nothing is a failure."""
        if not isinstance(answer, Response):
            return _failure(f"wrapperOnceExec returned {type(answer).__name__}, not a Response", -1)
        if answer.error_code:
            return _failure(self._text(answer.error_code), answer.error_code)
        outputs = answer.outputs
        if not outputs:
            return _failure("wrapperOnceExec returned a Response with an empty list", -1)
        return Reply([_piece(item) for item in outputs], Status.ONCE)

    def _failed(self, call: Call, error: BaseException) -> Reply:
        place = _place(error.__traceback__, self._file)
        log.error(
            "wrapperOnceExec raised %s%s",
            type(error).__name__,
            place,
            exc_info=error,
            extra={"fields": {"sid": call.sid}},
        )
        return _failure(load.words(error), -1)

    def _text(self, code: int) -> str:
        """What the wrapper says about one of its codes; empty if it says nothing."""
        method = getattr(self._wrapper, "wrapperError", None)
        if method is None:
            return ""
        try:
            return str(method(code) or "")
        except Exception:  # user code
            log.exception("wrapperError(%d) raised", code)
            return ""

    def _explain(self, code: object) -> str:
        text = self._text(code) if isinstance(code, int) else ""
        return f": {text}" if text else ""


def _failure(text: str, code: int) -> Reply:
    """ASF's words: `<wrapperError(n)>;code=n` (http-api.md 4.4)."""
    return Reply(code=OnceFailed.code, message=f"{text};code={code}".encode(errors="backslashreplace").decode())


def _piece(item: object) -> Piece:
    """An output as a piece; what only looks like a `ResponseData` will do.

    Raises `TypeError` or `ValueError` for what does not: nothing may reach the door that it takes for a bad frame.
    """
    if isinstance(item, ResponseData):
        data = item.content
    elif isinstance(item, Datum) or not hasattr(item, "key") or not hasattr(item, "data"):
        raise TypeError(f"Response.list holds a {type(item).__name__}, not a ResponseData")
    else:
        data = to_bytes(item.data)
    if not isinstance(item.key, str):
        raise TypeError(f"the key of a ResponseData must be a str, not {type(item.key).__name__}")
    item.key.encode()  # ValueError: a lone surrogate, which no frame can carry
    return Piece(item.key, _kind(getattr(item, "type", 0)), Status.ONCE, {}, data)


def _kind(value: object) -> int:
    """A data type as a plain number, numpy's included. Whether the schema knows it is for the door to say."""
    if type(value) is int and 0 <= value < 1 << 16:
        return value
    if value is None:
        return DataType.TEXT
    if isinstance(value, SupportsIndex) and 0 <= (kind := index(value)) < 1 << 16:
        return kind
    raise TypeError(f"a type must be DataText 0, DataAudio 1, DataImage 2 or DataVideo 3, not {value!r}")


def _bind(method: Callable[..., Any]) -> tuple[str, ...]:
    """What to pass, in order, to call a method by the names of its parameters."""
    passed: list[str] = []
    for position, parameter in enumerate(inspect.signature(method).parameters.values()):
        if parameter.kind is parameter.VAR_POSITIONAL:
            passed += _BY_POSITION[len(passed) :]
            break
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD):
            break
        name = _NAMES.get(parameter.name.lower().replace("_", ""))
        if name is None:
            if parameter.default is not parameter.empty or position >= len(_BY_POSITION):
                break
            name = _BY_POSITION[position]
        passed.append(name)
    return tuple(passed)


def _place(trace: TracebackType | None, file: str) -> str:
    """` (wrapper.py line 12)`: where in the user's file an error came from."""
    lines = [frame.lineno for frame in traceback.extract_tb(trace) if frame.filename == file]
    return f" ({file} line {lines[-1]})" if lines else ""
