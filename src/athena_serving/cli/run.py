"""`athena run`: the self-test of a wrapper, in this process, on its fields' test values."""

import contextlib
import logging
import os
import sys
import types
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn, cast

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
    from athena_serving.wire.schema import Schema

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  athena run
  athena run ./ocr
  athena run ./ocr --set wrapper.lang=zh
  athena run ./tts/wrapper.py --stream"""

FAILED: Final = 1
"""Exit code where checks failed."""
BODIES: Final = {DataAudio: AudioBodyField, DataImage: ImageBodyField}
"""Data type to field; the others are text."""


@click.command(epilog=EXAMPLES)
@click.argument("path", required=False, type=click.Path())
@click.option("--stream", is_flag=True, help="Try it as a session, also where it answers single calls.")
@flags.setting_flags
@click.pass_context
def command(context: click.Context, /, path: str | None, *, stream: bool, **words: object) -> None:
    """Try the wrapper at PATH, a wrapper.py or its folder, in this process. Without a PATH: ./wrapper.py.

    It is loaded as `athena serve` with the same arguments would, started, called with the test values of its fields,
    and ended; each check is printed. Exit code 0: in order. 1: a check failed. 3: it cannot be loaded.
    """
    wrappers = flags.default_paths((path,) if path else ())
    if not wrappers:
        raise flags.no_wrapper("run")
    chosen = flags.load(wrappers, words)
    work = partial(_tried, chosen.services[0], is_stream=stream, body_limit=chosen.limits.body)
    _leave(guard(work, context.find_root().info_name or "athena"))


def _tried(hosted: Hosted, *, is_stream: bool, body_limit: int) -> int:
    """The exit code of the test. Raises WrapperNotLoadable."""
    # Not at the top: --help should not wait for it.
    from athena_serving.sdk import selftest  # noqa: PLC0415

    try:
        wrapper = _loaded(hosted, is_stream=is_stream, body_limit=body_limit)
        return 0 if selftest.run(wrapper, stream=is_stream) else FAILED
    except SystemExit as error:  # user code: it would end us without a word
        words = f"it called sys.exit({error.code!r}), which ends a server's worker"
        click.echo(f"{hosted.path.name} is not ready: {words}. Raise an exception, or return a code.")
        return FAILED


def _loaded(hosted: Hosted, *, is_stream: bool, body_limit: int) -> WrapperBase:
    """A wrapper as a worker makes it, with what the self-test asks for. Raises WrapperNotLoadable."""
    # Not at the top, as above.
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
