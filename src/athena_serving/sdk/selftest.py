"""The self-test of a wrapper, without a server: `Wrapper().run()` (wrapper.md 1.6).

It calls the methods as a worker does, on the fields' test values, and judges the answer as the server does. What the
server would refuse fails; what it puts right, or lets pass, is a warning: ASF's self-test failed several of its own
examples for such.
"""

import asyncio
import inspect
import json
import os.path
import queue
import sys
import time
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Final, cast

from athena_serving.sdk import document, findings, logs
from athena_serving.sdk.batch import BatchItem
from athena_serving.sdk.callback import sessions
from athena_serving.sdk.constants import DataEnd, DataOnce
from athena_serving.sdk.context import Context, current
from athena_serving.sdk.data import DataListNode, Datum, Response, ResponseData
from athena_serving.sdk.findings import FAILURE, OK, WARNING
from athena_serving.sdk.trial import SID, Report, Stopped, Trial, Tried, outputs_of, path_of, say

PATIENCE: Final = 10.0
"""Seconds that a session may take to its last result."""
READ_PAUSE: Final = 0.05
"""Seconds between two looks for results with `wrapperRead`: ASF's loader's (wrapper.md 14, line 30)."""


# ── the entry points ──────────────────────────────────────────────────────────────────────────────


def run(wrapper: Tried, *, stream: bool, report: Report | None = None) -> bool:
    """The test that fits: a session if asked for, or if the wrapper answers nothing else; else one call, or a batch.

    Prints; True if nothing failed. `report` then has what was found, for who wants more than a yes or no.
    """
    is_session = stream or (_answers(wrapper, *_SESSIONS) and not _answers(wrapper, *_CALLS))
    steps = _session_of(wrapper) if is_session else _call_of(wrapper)
    return _test(wrapper, steps, report or Report())


def once(wrapper: Tried) -> bool:
    """Init, one call, fini. Prints; True if nothing failed."""
    return _test(wrapper, _call_of(wrapper), Report())


def stream(wrapper: Tried) -> bool:
    """Init, one session of one step, fini. Prints; True if nothing failed."""
    return _test(wrapper, _session_of(wrapper), Report())


def check(wrapper: object, response: object) -> bool:
    """Print what is to be said of an answer to a once-call; True if nothing failed."""
    found = [*findings.judge(response, outputs_of(wrapper))]
    for finding in found:
        if finding.verdict != OK:
            say(f"  {finding.verdict:4}  {finding.about}: {finding.words}")
    return all(finding.verdict != FAILURE for finding in found)


# ── one test ──────────────────────────────────────────────────────────────────────────────────────


def _test(wrapper: Tried, steps: Callable[[Trial], None], report: Report) -> bool:
    logs.getLogger()
    kind = type(wrapper)
    path = path_of(kind)  # user code may go elsewhere
    say(f"self-test of {kind.__qualname__}, service {document.service_name(kind)!r}, {sys.executable}")
    trial = Trial(wrapper, report)
    with Context(SID, app=SID, service=document.service_name(kind), expires=time.monotonic() + 3600.0):
        try:
            trial.prepare()
            trial.number("wrapperInit", "init", {"config": {key: str(value) for key, value in wrapper.config.items()}})
            try:
                steps(trial)
            finally:
                trial.call("wrapperFini", "fini", {})
                report.add("wrapperFini")
        except Stopped:
            pass  # it is reported
    return report.end(os.path.basename(path), path)  # noqa: PTH119  # no pathlib in this room: see fields


# ── one call ──────────────────────────────────────────────────────────────────────────────────────


def _call(trial: Trial) -> None:
    trial.judge(trial.call("wrapperOnceExec", "once", _values(trial)))


def _later(trial: Trial) -> None:
    arrived: queue.SimpleQueue[Response] = queue.SimpleQueue()
    session = sessions.open(SID, SID, arrived.put)
    try:
        trial.number("wrapperOnceExecAsync", "once_async", _values(trial))
        trial.judge(arrived.get(timeout=PATIENCE))
    except queue.Empty:
        words = f"none came in {PATIENCE:g} s; callback(response, sid) is how it is given"
        trial.report.add("the answer by callback", FAILURE, words)
        raise Stopped from None
    finally:
        session.close()


def _batch(trial: Trial) -> None:
    """Two items with the same inputs: one would not show what comes of the others."""
    method: Callable[[list[BatchItem]], object] = getattr(trial.wrapper, "wrapperBatchExec")  # noqa: B009  # not in Tried
    items = [BatchItem(dict(trial.params), trial.request(DataOnce), current()) for _ in range(2)]
    with trial.running("wrapperBatchExec"):
        answers = method(items)
    if inspect.iscoroutine(answers):
        answers.close()
    if not isinstance(answers, list | tuple) or len(answers) != len(items):
        got = f"{len(answers)} answers" if isinstance(answers, list | tuple) else type(answers).__name__
        words = f"it returned {got} for {len(items)} items; return a list with a Response or an exception for each"
        trial.report.add("wrapperBatchExec", FAILURE, words)
        raise Stopped
    for answer in answers:
        if isinstance(answer, BaseException):
            trial.report.add("wrapperBatchExec", FAILURE, f"an item failed: {type(answer).__name__}: {answer}")
            raise Stopped
    trial.report.add("wrapperBatchExec", OK, f"{len(answers)} answers for {len(items)} items")
    trial.judge(*answers)


def _values(trial: Trial) -> dict[str, object]:
    names = {"tag": SID, "sid": SID, "context": current(), "person": 0}
    return {**names, "params": trial.params, "request": trial.request(DataOnce)}


# ── one session, as a generator ───────────────────────────────────────────────────────────────────


def _pieces(trial: Trial) -> None:
    values = {**_values(trial), "pieces": _Pieces(trial.request(DataEnd).list)}
    answer = trial.call("wrapperStream", "stream", values)
    with trial.running("wrapperStream"):
        results = asyncio.run(_gathered(answer)) if isinstance(answer, AsyncIterable) else _taken(answer)
        responses = [response for response in (_response(trial, one) for one in results) if not _is_empty(response)]
    if responses:
        trial.report.add("wrapperStream", OK, f"{len(responses)} results")
    else:
        trial.report.add("wrapperStream", WARNING, "it yielded nothing, so the caller gets an end and no data")
    trial.judge(*responses, is_once=False)


class _Pieces:
    """The caller's pieces, for `for` and for `async for`."""

    def __init__(self, nodes: list[DataListNode]) -> None:
        self._nodes = iter(nodes)

    def __iter__(self) -> "_Pieces":
        return self

    def __next__(self) -> DataListNode:
        return next(self._nodes)

    def __aiter__(self) -> "_Pieces":
        return self

    async def __anext__(self) -> DataListNode:
        for node in self._nodes:
            return node
        raise StopAsyncIteration


def _taken(answer: object) -> list[object]:
    """What a generator yields, up to what ends the session. Raises what it raises, and TypeError if it is none."""
    if not isinstance(answer, Iterable) or isinstance(answer, str | bytes):
        raise TypeError(f"it returned {type(answer).__name__}: it must yield its results")
    results: list[object] = []
    for result in answer:
        results.append(result)
        if _is_end(result):
            break
    if inspect.isgenerator(answer):
        answer.close()
    return results


async def _gathered(answer: AsyncIterable[object]) -> list[object]:
    results: list[object] = []
    async for result in answer:
        results.append(result)
        if _is_end(result):
            break
    if inspect.isasyncgen(answer):
        await answer.aclose()
    return results


def _response(trial: Trial, result: object) -> Response:
    """What was yielded as a Response. Raises TypeError for what the server refuses."""
    if isinstance(result, Response):
        return result
    if isinstance(result, Datum):
        return Response([cast("ResponseData", result)])
    if isinstance(result, list | tuple) and result and all(isinstance(one, Datum) for one in result):
        return Response(cast("list[ResponseData]", [*result]))
    if not trial.outputs:
        raise TypeError(f"it yielded {type(result).__name__}, and responseCls declares no output")
    field = next(iter(trial.outputs.values()))
    if isinstance(result, str | bytes | bytearray | memoryview):
        return Response([ResponseData(field.key, result, type=field.data_type)])
    if isinstance(result, Mapping | list | tuple | int | float):
        return Response([ResponseData(field.key, json.dumps(result, ensure_ascii=False), type=field.data_type)])
    name = type(result).__name__
    raise TypeError(f"it yielded {name}: yield str, bytes, a dict for JSON, or ResponseData(key, data)")


def _is_empty(response: Response) -> bool:
    return not response.error_code and not response.outputs


def _is_end(result: object) -> bool:
    if isinstance(result, Response):
        return bool(result.error_code) or any(map(_is_end, result.outputs))
    if isinstance(result, list | tuple):
        return any(map(_is_end, result))
    return isinstance(result, Datum) and result.status == DataEnd


# ── one session, in ASF's form ────────────────────────────────────────────────────────────────────


def _session(trial: Trial) -> None:
    arrived: queue.SimpleQueue[Response] = queue.SimpleQueue()
    session = sessions.open(SID, SID, arrived.put)
    names: dict[str, object] = {"tag": SID, "sid": SID, "context": current()}
    try:
        handle = _handle(trial, trial.call("wrapperCreate", "create", {**names, "params": trial.params}))
        session.name(handle)
        names["handle"] = handle
        try:
            trial.number("wrapperWrite", "write", {**names, "request": trial.request(DataEnd), "params": trial.params})
            _results(trial, names, arrived)
        finally:
            trial.call("wrapperDestroy", "destroy", names)
            trial.report.add("wrapperDestroy")
    finally:
        session.close()


def _handle(trial: Trial, answer: object) -> object:
    """The handle in what `wrapperCreate` returned. Raises Stopped if there is none."""
    code = getattr(answer, "error_code", 0)
    handle = getattr(answer, "handle", answer)
    if code:
        trial.report.add("wrapperCreate", FAILURE, f"its error code is {code}{trial.meaning(code)}")
        raise Stopped
    if handle in (None, "") or isinstance(handle, int):
        words = f"it returned no handle but {handle!r}; return SessionCreateResponse(handle)"
        trial.report.add("wrapperCreate", FAILURE, words)
        raise Stopped
    trial.report.add("wrapperCreate", OK, f"handle {handle!r}")
    return handle


def _results(trial: Trial, names: dict[str, object], arrived: "queue.SimpleQueue[Response]") -> None:
    """Judge results until the last, whether they come by `callback` or are read. Raises Stopped if none is the last."""
    reads = _is_own(trial.wrapper, "wrapperRead")
    deadline = time.monotonic() + PATIENCE
    while (left := deadline - time.monotonic()) > 0:
        try:
            response: object = arrived.get(timeout=min(left, READ_PAUSE) if reads else left)
        except queue.Empty:
            if not reads:
                break
            response = trial.call("wrapperRead", "read", names)
        if isinstance(response, list):
            response = Response(response)
        if response is None or (isinstance(response, Response) and not response.error_code and not response.outputs):
            continue  # none yet
        trial.judge(response, is_once=False)
        if not isinstance(response, Response) or response.error_code or any(map(_is_last, response.outputs)):
            return
    words = f"none in {PATIENCE:g} s has status DataEnd; the last response of a session has an item that says so"
    trial.report.add("the last result", FAILURE, words)
    raise Stopped


def _is_last(item: object) -> bool:
    status = getattr(item, "status", DataOnce)
    return isinstance(status, int) and status >= DataEnd


def _is_own(wrapper: object, name: str) -> bool:
    """Has the wrapper's author written this method? By name of the module, since the base class imports this one."""
    kind = next((kind for kind in type(wrapper).__mro__ if name in vars(kind)), object)
    return kind.__module__ != "athena_serving.sdk.base" or name in getattr(wrapper, "__dict__", {})


def _answers(wrapper: object, *names: str) -> bool:
    return any(_is_own(wrapper, name) for name in names)


Steps = Callable[[Trial], None]
_CALLS: Final[Mapping[str, Steps]] = {
    "wrapperBatchExec": _batch,
    "wrapperOnceExec": _call,
    "wrapperOnceExecAsync": _later,
}
_SESSIONS: Final[Mapping[str, Steps]] = {"wrapperStream": _pieces, "wrapperCreate": _session}
"""Methods to what tries them, in the order in which a worker prefers them."""


def _call_of(wrapper: object) -> Steps:
    return next((steps for name, steps in _CALLS.items() if _is_own(wrapper, name)), _call)


def _session_of(wrapper: object) -> Steps:
    return next((steps for name, steps in _SESSIONS.items() if _is_own(wrapper, name)), _session)
