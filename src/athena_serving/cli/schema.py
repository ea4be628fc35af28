"""`athena schema`: what a service accepts, for other programs."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import click

from athena_serving.cli import flags
from athena_serving.errors import UsageError
from athena_serving.settings import Hosted

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  athena schema > ocr.schema.json
  athena schema ./ocr --openapi
  athena schema ./wrapper.py --legacy"""


@click.command(epilog=EXAMPLES)
@click.argument("path", required=False, type=click.Path())
@click.option("--openapi", "form", flag_value="openapi", help="Print OpenAPI 3.1, as /openapi.json has it.")
@click.option("--legacy", "form", flag_value="legacy", help="Print the older form of ASF's Python package.")
@flags.setting_flags
def command(path: str | None, form: str | None, **words: object) -> None:
    """Print the schema of the wrapper at PATH, a wrapper.py or its folder, as JSON. Without a PATH: ./wrapper.py.

    The document is ASF's schema, as `athena serve` with the same arguments would have it. The file is imported for
    that; what it prints goes to standard error.
    """
    wrappers = flags.default_paths((path,) if path else ())
    if not wrappers:
        raise flags.no_wrapper("schema")
    chosen = flags.load(wrappers, words)
    with _kept_output() as output:
        document = describe(chosen.services[0], form or "", body_limit=chosen.limits.body)
        output.write(json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n")


def describe(hosted: Hosted, form: str, *, body_limit: int) -> Mapping[str, object]:
    """The document of a service: `openapi`, `legacy`, or empty for ASF's. It runs the user's file.

    `body_limit`: bytes of a request. Raises WrapperNotLoadable for a file that cannot be served, and for one that has
    no such form.
    """
    # Not at the top: --help should not wait for it.
    from athena_serving.wire import openapi, schema  # noqa: PLC0415
    from athena_serving.worker import load  # noqa: PLC0415

    os.environ.update(hosted.workers.env)
    with contextlib.chdir(hosted.directory):  # where its workers run
        kind = load.load(hosted.path)
        if form == "legacy":
            wrapper = load.construct(kind, hosted.path)
            try:
                return _legacy(wrapper, hosted)
            except Exception as error:  # user code: fields may hold anything
                raise load.explained(error, hosted.path, "the fields of Wrapper make no schema") from error
        name, version = hosted.service.name, hosted.service.version
        document = load.describe(kind, hosted.path, name=name, version=version, body_limit=body_limit)
    compiled = schema.compile(document, body_limit=body_limit, faces=load.faces(kind))
    if form != "openapi":
        return document
    return openapi.build([compiled], title=compiled.service, version=compiled.version, body_limit=body_limit)


def _legacy(wrapper: object, hosted: Hosted) -> Mapping[str, object]:
    make = getattr(wrapper, "schema_legacy", None)
    if not callable(make):
        remedy = "class Wrapper(WrapperBase), or leave --legacy out"
        raise UsageError("only a WrapperBase has the older form", where=str(hosted.path), help=remedy)
    made = make()  # text; a class of the user's may have its own idea
    document: Mapping[str, object] = json.loads(made if isinstance(made, str) else json.dumps(made))
    return document


@contextlib.contextmanager
def _kept_output() -> Iterator[BinaryIO]:
    """Standard output, for us alone: what user code writes meanwhile, in any way, goes to standard error."""
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)
        try:
            yield output
        finally:
            with contextlib.suppress(Exception):  # user code may have put anything in its place
                sys.stdout.flush()
            os.dup2(output.fileno(), 1)
