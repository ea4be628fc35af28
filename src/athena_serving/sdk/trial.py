"""One wrapper under test: what it is given, what it answers, and the report of both."""

import asyncio
import inspect
import os.path
import shlex
import sys
import traceback
from collections import Counter
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

from athena_serving.errors import UsageError
from athena_serving.sdk import document, findings
from athena_serving.sdk.binding import bind
from athena_serving.sdk.data import DataListCls, DataListNode, Response, ResponseData
from athena_serving.sdk.fields import PLACEHOLDER, BodyField, FileField
from athena_serving.sdk.findings import FAILURE, OK, WARNING, Finding

SID: Final = "self-test"


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
    """Gathers findings, and prints each as it comes.

    `command` is how to serve the wrapper, for the last line; empty for what `athena serve` would be given here.
    """

    def __init__(self, command: str = "") -> None:
        self.findings: list[Finding] = []
        self._command = command

    def add(self, about: str, verdict: str = OK, words: str = "", place: str = "") -> None:
        """Print one check."""
        self.findings.append(Finding(about, verdict, words, place))
        say(f"  {verdict:4}  {about}{': ' if words else ''}{words}")

    def end(self, file: str, path: str) -> bool:
        """Print the last line, of a wrapper in `file`, called from here by `path`; is it in order?"""
        count = Counter(finding.verdict for finding in self.findings)
        failed, warned, total = count[FAILURE], count[WARNING], count.total()
        if failed:
            say(f"{file} is not ready: {failed} of {total} checks failed. Mend what FAIL says, and try again.")
            return False
        command = self._command or f"athena serve {shlex.quote(path)}"
        say(f"{file} has been verified: {total} checks, {warned} warnings. Serve it: {command}")
        return True


def say(line: str) -> None:
    """To the terminal, in step with what user code prints."""
    print(line, flush=True)  # noqa: T201  # it is what the test is for


# ── one wrapper under test ────────────────────────────────────────────────────────────────────────


class Trial:
    """A wrapper under test, and what it is given."""

    def __init__(self, wrapper: Tried, report: Report) -> None:
        self.wrapper = wrapper
        self.report = report
        self.outputs = outputs_of(wrapper)
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
        with self.running(name):
            answer = bind(getattr(self.wrapper, name), role)(values)
            return asyncio.run(_awaited(answer)) if inspect.isawaitable(answer) else answer

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Around the code of a method: what it raises is reported. Raises Stopped then."""
        try:
            yield
        except (Exception, SystemExit) as error:  # user code
            words = f"it raised {type(error).__name__}: {error}"
            if isinstance(error, SystemExit):
                words = f"it called sys.exit({error.code!r}), which ends a worker; raise an exception, or return a code"
            self.report.add(name, FAILURE, words, _line(error, type(self.wrapper)))
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

    def judge(self, *responses: object, is_once: bool = True) -> None:
        """Report on answers: each check once, with what it found first."""
        found: dict[str, Finding] = {}
        for response in responses:
            for finding in findings.judge(response, self.outputs, is_once=is_once):
                if finding.about not in found or found[finding.about].verdict == OK:
                    found[finding.about] = finding
        for finding in found.values():
            self.report.add(*finding)
        for response in responses:
            if isinstance(response, Response):
                self.wrapper.respData.extend(response.outputs)
                if response.error_code:
                    self.report.add("wrapperError", OK, f"{response.error_code}{self.meaning(response.error_code)}")


async def _awaited(answer: Awaitable[object]) -> object:
    return await answer


def outputs_of(wrapper: object) -> dict[str, BodyField]:
    """The declared outputs by key, in order."""
    return {field.key: field for field in document.fields(type(wrapper)).outputs}


def path_of(kind: type) -> str:
    """What names the wrapper's file from here: of a script what was typed; the class's name where there is no file."""
    file = _file(kind)
    if not file:
        return kind.__qualname__
    typed = sys.argv[0] if kind.__module__ == "__main__" else ""
    return typed or os.path.basename(file)  # noqa: PTH119  # no pathlib in this room: see fields


def _line(error: BaseException, kind: type) -> str:
    """FILE:LINE of the wrapper's file that an error came through last; empty if none did."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _file(kind)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""


def _file(kind: type) -> str:
    return getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
