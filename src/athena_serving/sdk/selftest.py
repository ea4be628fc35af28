"""The self-test of a wrapper, without a server: `Wrapper().run()` (wrapper.md 1.6).

It calls the methods as a worker does, on the fields' test values, and judges the answer as the server does. What the
server would refuse fails; what it puts right, or lets pass, is a warning: ASF's self-test failed several of its own
examples for such.
"""

import asyncio
import inspect
import os.path
import queue
import sys
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from athena_serving.errors import UsageError
from athena_serving.sdk import document, logs
from athena_serving.sdk.binding import bind
from athena_serving.sdk.callback import sessions
from athena_serving.sdk.constants import DataEnd, DataOnce, Types
from athena_serving.sdk.context import Context, current
from athena_serving.sdk.data import DataListCls, DataListNode, Response, ResponseData, to_bytes
from athena_serving.sdk.fields import PLACEHOLDER, BodyField, FileField

SID: Final = "self-test"
PATIENCE: Final = 10.0
"""Seconds that a session may take to its last result."""
READ_PAUSE: Final = 0.05
"""Seconds between two looks for results with `wrapperRead`: ASF's loader's (wrapper.md 14, line 30)."""

OK, WARNING, FAILURE = "ok", "warn", "FAIL"


class Finding(NamedTuple):
    """One check: what it was about, how it went, and what to do."""

    about: str
    verdict: str = OK
    words: str = ""


class Tried(Protocol):
    """What the test needs of a wrapper; its methods are looked up by name."""

    @property
    def config(self) -> Mapping[str, object]:
        """For `wrapperInit`."""

    @property
    def inputs_test_values(self) -> dict[str, bytes]:
        """Is filled with what is sent."""

    @property
    def params_test_values(self) -> dict[str, str]:
        """The same for parameters."""

    @property
    def respData(self) -> list[ResponseData]:
        """Is filled with what is answered."""


class Stopped(Exception):  # what follows makes no sense; the reason is printed already
    """The test cannot go on."""


class Report:
    """Prints findings as they come, and counts them."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()

    def add(self, about: str, verdict: str = OK, words: str = "") -> None:
        """Print one check."""
        self._count[verdict] += 1
        say(f"  {verdict:4}  {about}{': ' if words else ''}{words}")

    def end(self, file: str) -> bool:
        """Print the last line; is the wrapper in order?"""
        failed, warned, total = self._count[FAILURE], self._count[WARNING], self._count.total()
        if failed:
            say(f"{file} is not ready: {failed} of {total} checks failed. Mend what FAIL says, and try again.")
            return False
        say(f"{file} has been verified: {total} checks, {warned} warnings. Serve it: athena serve {file}")
        return True


def say(line: str) -> None:
    """To the terminal, in step with what user code prints."""
    print(line, flush=True)  # noqa: T201  # it is what the test is for


# ── the entry points ──────────────────────────────────────────────────────────────────────────────


def run(wrapper: Tried, *, stream: bool) -> bool:
    """The test that fits: a session if asked for, or if there is no `wrapperOnceExec`; else one call."""
    is_session = stream or (not _is_own(wrapper, "wrapperOnceExec") and _is_own(wrapper, "wrapperCreate"))
    return _test(wrapper, _session if is_session else _call)


def once(wrapper: Tried) -> bool:
    """Init, one call, fini. Prints; True if nothing failed."""
    return _test(wrapper, _call)


def stream(wrapper: Tried) -> bool:
    """Init, one session of one step, fini. Prints; True if nothing failed."""
    return _test(wrapper, _session)


def check(wrapper: object, response: object) -> bool:
    """Print what is to be said of an answer to a once-call; True if nothing failed."""
    found = [*findings(response, _outputs(wrapper))]
    for finding in found:
        if finding.verdict != OK:
            say(f"  {finding.verdict:4}  {finding.about}: {finding.words}")
    return all(finding.verdict != FAILURE for finding in found)


# ── what is right about an answer ─────────────────────────────────────────────────────────────────


def findings(response: object, outputs: dict[str, BodyField], *, is_once: bool = True) -> Iterator[Finding]:
    """The checks of one response, in ASF's order (wrapper.md 1.6), against the outputs that `responseCls` declares."""
    if not isinstance(response, Response):
        words = f"it is {_article(response)}; return Response(list=[ResponseData(key=..., data=...)])"
        yield Finding("the answer is a Response", FAILURE, words)
        return
    yield Finding("the answer is a Response")
    if response.error_code:
        yield Finding("the answer has an error code", OK, str(response.error_code))
        return
    items = response.outputs
    if not items:
        yield Finding("the answer has outputs", FAILURE, "its list is empty; append a ResponseData")
        return
    yield Finding("the answer has outputs", OK, str(len(items)))
    yield _judged("data are bytes", FAILURE, [_wrong_data(item) for item in items])
    yield _judged("lengths are right", WARNING, [_wrong_length(item) for item in items])
    keys = Counter(_key(item) for item in items)
    yield _judged("keys differ", WARNING, [f"{key} comes {n} times" for key, n in keys.items() if n > 1])
    if is_once:
        yield _judged("statuses are DataOnce", WARNING, [_wrong_status(item) for item in items])
    yield _judged("keys are declared", FAILURE, [_unknown_key(item, outputs) for item in items])
    yield _judged("types are as declared", FAILURE, [_wrong_type(item, outputs) for item in items])


def _judged(about: str, verdict: str, wrongs: Sequence[str]) -> Finding:
    said = [wrong for wrong in wrongs if wrong]
    return Finding(about, verdict, "; ".join(said)) if said else Finding(about)


def _wrong_data(item: object) -> str:
    try:
        to_bytes(getattr(item, "data", None))
    except TypeError as error:
        return f"{_key(item)}: {error}"
    return ""


def _wrong_length(item: object) -> str:
    data, length = getattr(item, "data", None), getattr(item, "len", None)
    if not isinstance(data, bytes | bytearray | memoryview | str) or length is None:
        return ""
    actual = memoryview(to_bytes(data)).nbytes
    cut = "; the rest is not delivered" if isinstance(length, int) and length < actual else ""
    return f"{_key(item)} says {length} of {actual} bytes{cut}" if length != actual else ""


def _wrong_status(item: object) -> str:
    status = getattr(item, "status", DataOnce)
    return f"{_key(item)} has {status}; the server takes {DataOnce}" if status != DataOnce else ""


def _unknown_key(item: object, outputs: dict[str, BodyField]) -> str:
    key = getattr(item, "key", None)
    if key in outputs:
        return ""
    return f"{_key(item)} is not among {', '.join(map(repr, outputs)) or 'them: responseCls has no fields'}"


def _wrong_type(item: object, outputs: dict[str, BodyField]) -> str:
    field, kind = outputs.get(getattr(item, "key", "")), getattr(item, "type", 0)
    if field is None or kind == field.data_type:
        return ""
    return f"{_key(item)} is {_type(kind)}, declared as {_type(field.data_type)}"


def _key(item: object) -> str:
    return repr(getattr(item, "key", None))


def _type(kind: object) -> str:
    return f"{kind} ({Types[kind]})" if isinstance(kind, int) and kind in Types else repr(kind)


def _article(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


# ── one test ──────────────────────────────────────────────────────────────────────────────────────


class Trial:
    """A wrapper under test, and what it is given."""

    def __init__(self, wrapper: Tried, report: Report) -> None:
        self.wrapper = wrapper
        self.report = report
        self.outputs = _outputs(wrapper)
        self.params: dict[str, str] = {}
        self.inputs: list[tuple[BodyField, bytes]] = []

    def prepare(self) -> None:
        """Take the fields' test values. Raises Stopped if the fields make no schema."""
        kind = type(self.wrapper)
        try:
            document.text(kind)
        except UsageError as error:
            self.report.add("the fields make a schema", FAILURE, f"{error.message}; {error.help}")
            raise Stopped from error
        self.report.add("the fields make a schema")
        declared = document.fields(kind)
        self.params = {**document.test_params(declared), "sid": SID}
        for field in declared.inputs:
            self.inputs.append((field, self._sample(field)))
        self.wrapper.params_test_values.update(self.params)
        self.wrapper.inputs_test_values.update({field.key: data for field, data in self.inputs})

    def _sample(self, field: BodyField) -> bytes:
        sample = field.sample(document.folder_of(type(self.wrapper)) or "")
        if sample is None:
            what = "path" if isinstance(field, FileField) else "value"
            words = f"it has none, so {PLACEHOLDER!r} is sent; give the field a {what}"
            self.report.add(f"input {field.key!r} has a test value", WARNING, words)
        return sample or PLACEHOLDER

    def request(self, status: int) -> DataListCls:
        """The inputs, as `reqData`."""
        return DataListCls(
            DataListNode(field.key, data, type=field.data_type, status=status, desc=dict(field.attributes))
            for field, data in self.inputs
        )

    def call(self, name: str, role: str, values: dict[str, object]) -> object:
        """What a method returns. Raises Stopped if it raises."""
        try:
            answer = bind(getattr(self.wrapper, name), role)(values)
            return asyncio.run(_awaited(answer)) if inspect.isawaitable(answer) else answer
        except Exception as error:  # user code
            self.report.add(name, FAILURE, f"it raised {type(error).__name__}: {error}")
            traceback.print_exc(file=sys.stdout)
            raise Stopped from error

    def number(self, name: str, role: str, values: dict[str, object]) -> None:
        """Call a method that returns 0 when all is well. Raises Stopped if it is not."""
        code = self.call(name, role, values)
        if code is None and role == "init":
            self.report.add(name, WARNING, "it returned None, which counts as 0")
        elif code not in (0, None):
            self.report.add(name, FAILURE, f"it returned {code!r}{self.meaning(code)}")
            raise Stopped
        else:
            self.report.add(name)

    def meaning(self, code: object) -> str:
        """What the wrapper says about one of its codes. Raises Stopped if it raises."""
        return f", which wrapperError calls {self.call('wrapperError', 'error', {'code': code})!r}"

    def judge(self, response: object, *, is_once: bool = True) -> None:
        """Report on an answer."""
        for finding in findings(response, self.outputs, is_once=is_once):
            self.report.add(*finding)
        if isinstance(response, Response):
            self.wrapper.respData.extend(response.outputs)
            if response.error_code:
                self.report.add("wrapperError", OK, f"{response.error_code}{self.meaning(response.error_code)}")


def _test(wrapper: Tried, steps: Callable[[Trial], None]) -> bool:
    logs.getLogger()
    kind = type(wrapper)
    say(f"self-test of {kind.__qualname__}, service {document.service_name(kind)!r}, {sys.executable}")
    report = Report()
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
    return report.end(_file(kind))


def _call(trial: Trial) -> None:
    values = {"params": trial.params, "request": trial.request(DataOnce), "tag": SID, "sid": SID, "context": current()}
    trial.judge(trial.call("wrapperOnceExec", "once", values))


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


async def _awaited(answer: Awaitable[object]) -> object:
    return await answer


def _outputs(wrapper: object) -> dict[str, BodyField]:
    return {field.key: field for field in document.fields(type(wrapper)).outputs}


def _is_own(wrapper: object, name: str) -> bool:
    """Has the wrapper's author written this method? By name of the module, since the base class imports this one."""
    kind = next((kind for kind in type(wrapper).__mro__ if name in vars(kind)), object)
    return kind.__module__ != "athena_serving.sdk.base" or name in getattr(wrapper, "__dict__", {})


def _file(kind: type) -> str:
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return os.path.basename(file) if file else kind.__qualname__  # noqa: PTH119  # no pathlib in this room: see fields
