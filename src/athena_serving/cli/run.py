"""`athena run`: the self-test of a wrapper, in this process, on its fields' test values."""

import contextlib
import json
import logging
import os
import re
import shlex
import sys
import types
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final, NoReturn, cast

import click

from athena_serving.cli import flags
from athena_serving.cli.program import guard
from athena_serving.errors import UsageError
from athena_serving.sdk import (
    AudioBodyField,
    DataAudio,
    DataImage,
    DataListCls,
    DataOnce,
    ImageBodyField,
    Response,
    ResponseData,
    StringBodyField,
    WrapperBase,
    current,
    document,
)
from athena_serving.sdk.binding import Bound, bind
from athena_serving.sdk.fields import Field
from athena_serving.settings import Hosted, Workers

if TYPE_CHECKING:
    from athena_serving.sdk.trial import Report
    from athena_serving.wire.schema import Schema

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  athena run
  athena run ./ocr
  athena run ./ocr --set wrapper.lang=zh
  athena run ./tts/wrapper.py --stream
  athena run ./ocr --json > report.json"""

FAILED: Final = 1
"""Exit code where checks failed."""
BODIES: Final = {DataAudio: AudioBodyField, DataImage: ImageBodyField}
"""Data type to field; the others are text."""


@click.command(epilog=EXAMPLES)
@click.argument("path", required=False, type=click.Path())
@click.option("--stream", is_flag=True, help="Try it as a session, also where it answers single calls.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs; all else to standard error.")
@flags.setting_flags
@click.pass_context
def command(context: click.Context, /, path: str | None, *, stream: bool, as_json: bool, **words: object) -> None:
    """Try the wrapper at PATH, a wrapper.py or its folder, in this process. Without a PATH: ./wrapper.py.

    It is loaded as `athena serve` with the same arguments would, started, called with the test values of its fields,
    and ended; each check is printed. Exit code 0: in order. 1: a check failed. 3: it cannot be loaded.
    """
    wrappers = flags.default_paths((path,) if path else ())
    if not wrappers:
        raise flags.no_wrapper("run")
    chosen = flags.load(wrappers, words)
    # Not at the top, here and below: --help should not wait for it.
    from athena_serving.sdk.trial import Report  # noqa: PLC0415

    name = context.find_root().info_name or "athena"
    report = Report(f"{name} serve {shlex.quote(wrappers[0])}")
    work = partial(_tried, chosen.services[0], report, is_stream=stream, body_limit=chosen.limits.body)
    _leave(guard(partial(_documented, work, report, _kept_output()) if as_json else work, name))


def _tried(hosted: Hosted, report: "Report", *, is_stream: bool, body_limit: int) -> int:
    """The exit code of the test. Raises WrapperNotLoadable."""
    from athena_serving.sdk import selftest  # noqa: PLC0415
    from athena_serving.worker import load  # noqa: PLC0415

    try:
        wrapper = _loaded(hosted, is_stream=is_stream, body_limit=body_limit)
        return 0 if selftest.run(wrapper, stream=is_stream, report=report) else FAILED
    except SystemExit as error:  # user code, as in a property: it would end us without a word
        raise load.explained(error, hosted.path, "Wrapper ends the process") from error


# ── for programs ──────────────────────────────────────────────────────────────────────────────────


class _Heard(logging.Handler):
    """Keeps what our own code warns of: what is odd about a wrapper and no check of an answer's."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self.lines.append(record.getMessage())


def _documented(work: Callable[[], int], report: "Report", output: BinaryIO) -> int:
    """Do the work, and write what came of it; also where the wrapper cannot be loaded, which is raised then."""
    from athena_serving.sdk.findings import FAILURE, Finding  # noqa: PLC0415

    heard = _Heard()
    logging.getLogger("athena_serving").addHandler(heard)
    try:
        code = work()
    except UsageError as error:
        place = re.sub(r"(:\d+)  .*", r"\1", error.where)  # without the line's source
        words = "; ".join(filter(None, (error.message, error.help)))
        report.findings.append(Finding("the wrapper can be tried", FAILURE, words, place))
        _write(_document(report, heard.lines), output)
        raise
    _write(_document(report, heard.lines), output)
    return code


def _write(document: Mapping[str, object], output: BinaryIO) -> None:
    with output:
        output.write(json.dumps(document, ensure_ascii=False, indent=2).encode(errors="backslashreplace") + b"\n")


def _document(report: "Report", lines: list[str]) -> dict[str, object]:
    """`{"ok", "checks": [{"name", "ok", "message", "place"}], "warnings": [{"name", "message", "place"}]}`.

    A warning is no check: the server lets it pass. A `place` is FILE:LINE, and left out where nobody knows one.
    """
    from athena_serving.sdk.findings import FAILURE, WARNING  # noqa: PLC0415

    checks: list[dict[str, object]] = []
    warnings: list[dict[str, object]] = [{"name": "log", "message": line} for line in lines]
    for about, verdict, words, place in report.findings:
        said = {"message": words, **({"place": place} if place else {})}
        if verdict == WARNING:
            warnings.append({"name": about, **said})
        else:
            checks.append({"name": about, "ok": verdict != FAILURE, **said})
    return {"ok": all(check["ok"] for check in checks), "checks": checks, "warnings": warnings}


def _kept_output() -> BinaryIO:
    """Standard output, for us alone to the end: what user code writes, in any way, goes to standard error."""
    sys.stdout.flush()
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return output


# ── a wrapper to try ──────────────────────────────────────────────────────────────────────────────


def _loaded(hosted: Hosted, *, is_stream: bool, body_limit: int) -> WrapperBase:
    """A wrapper as a worker makes it, with what the self-test asks for. Raises WrapperNotLoadable."""
    from athena_serving.wire import schema  # noqa: PLC0415
    from athena_serving.worker import load  # noqa: PLC0415

    os.environ.update(_environment(hosted.workers))
    os.chdir(hosted.directory)
    kind = load.load(hosted.path)
    name, version = hosted.service.name, hosted.service.version
    described = load.describe(kind, hosted.path, name=name, version=version, body_limit=body_limit)
    checked = schema.compile(described, body_limit=body_limit)
    wrapper = cast("WrapperBase", load.construct(_testable(kind, hosted, checked), hosted.path))
    # Its misspelling counts as well.
    vars(wrapper)["wrapperDestroy"] = load.method_or_default(wrapper, "wrapperDestroy")
    found = load.method_of(wrapper, "wrapperOnceExec")
    once = None if found is None else bind(found, "once")
    if not (issubclass(kind, load.Functions) if once is None else once.takes("response_list")):
        return wrapper
    if once is None or is_stream:
        help_text = (
            "`athena run` without --stream tries its wrapperOnceExec" if once else "tests of your own can call it"
        )
        raise UsageError("sessions of ASF's first style cannot be tried", where=str(hosted.path), help=help_text)
    vars(wrapper)["wrapperOnceExec"] = partial(_old_once, once)
    return wrapper


def _environment(workers: Workers) -> dict[str, str]:
    """What a service's first worker has in its environment, besides ours."""
    cores = len(os.sched_getaffinity(0)) // workers.count
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, cores)))
    devices = {"CUDA_VISIBLE_DEVICES": workers.devices[0]} if workers.devices else {}
    return {"OMP_NUM_THREADS": threads, **devices, **workers.env, "ATHENA_WORKER": "0"}


def _testable(kind: type, hosted: Hosted, checked: "Schema") -> type:
    """A subclass that is a WrapperBase, whatever `kind` is, and says what the settings and the schema say.

    A schema.json knows outputs, and inputs of a module, that no field does.
    """
    declared = document.fields(kind)
    own = getattr(kind, "config", None)
    said: dict[str, object] = {
        "__module__": kind.__module__,  # where the self-test finds its file
        "__qualname__": kind.__qualname__,
        "serviceId": checked.service,
        "config": hosted.wrapper or (own if isinstance(own, Mapping) else {}),
    }
    if not declared.inputs:
        said["requestCls"] = _fields({param.key: param for param in declared.params} | _bodies(checked.inputs))
    if {field.key: field.data_type for field in declared.outputs} != checked.outputs:
        said["responseCls"] = _fields(_bodies(checked.outputs))
    bases = (kind,) if issubclass(kind, WrapperBase) else (kind, WrapperBase)
    return types.new_class(kind.__name__, bases, exec_body=lambda body: body.update(said))


def _bodies(kinds: Mapping[str, int]) -> dict[str, Field]:
    """Fields without test values, from names and data types."""
    return {key: BODIES[kind](key) if kind in BODIES else StringBodyField(key, b"") for key, kind in kinds.items()}


def _fields(fields: Mapping[str, Field]) -> object:
    return types.SimpleNamespace(**fields)


def _old_once(once: Bound, params: dict[str, str], reqData: DataListCls, usrTag: str) -> Response:
    """Call `wrapperOnceExec` of ASF's first style as a worker does (wrapper.md 2.4).

    Raises what it raises, TypeError for a result that is no number, and TypeError or ValueError for wrong outputs.
    """
    from athena_serving.worker import outputs  # noqa: PLC0415  # as above

    names = ("key", "data", "len", "status", "type", "desc")
    nodes = tuple({name: getattr(node, name) for name in names} for node in reqData.list)
    filled: list[object] = []
    values = {"params": params, "request": nodes, "tag": usrTag, "sid": usrTag, "response_list": filled}
    answer = once({**values, "context": current()})
    if isinstance(answer, Response):
        return answer
    code = outputs.number(answer)
    if code is None:
        raise TypeError(f"wrapperOnceExec returned {type(answer).__name__}, not a number")
    pieces = () if code else [outputs.old_piece(item, DataOnce) for item in filled]
    return Response([ResponseData(piece.key, piece.data, type=piece.type) for piece in pieces], error_code=code)


def _leave(code: int) -> NoReturn:
    """End at once, as a worker does: threads that user code left behind must not keep the process."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # user code may have put anything in their place
            stream.flush()
    os._exit(code)
