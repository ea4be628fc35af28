"""The schema document that a wrapper's author wrote by hand: `schema.json` beside the wrapper (http-api.md, chapter 5).

It wins over what the wrapper's fields say, so it is checked where it stands: what is wrong with it fails the load, with
its place, instead of being found by a door.
"""

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NoReturn

from athena_serving.errors import UsageError, WrapperNotLoadable
from athena_serving.wire import category

log = logging.getLogger(__name__)

NAME: Final = "schema.json"
LONGEST: Final = 4 << 20
"""Bytes. ASF's largest are some 100 KB; a model that was saved under this name should not be parsed."""

Node = dict[str, object]


def read(file: Path, *, name: str, version: str, body_limit: int, outputs: Iterable[str]) -> Node | None:
    """The document in `file`, None if there is no such file.

    `name` and `version` are the settings', empty where they say nothing: they replace the service's id and version,
    while its nick-names (`meta.service`), by which requests know its parameters, stay. `body_limit`: bytes that a data
    field without a length may have. `outputs`: keys that the wrapper declares; those that the document lacks are worth
    a warning. Raises `WrapperNotLoadable` with the file and the place in it.
    """
    raw = _bytes(file)
    if raw is None:
        return None
    document = _parsed(raw, file)
    _rename(document, name, version)
    known = _checked(document, file, body_limit)
    lacking = [key for key in outputs if key not in known]
    if lacking:
        log.warning("%s has no output %s, which the wrapper declares; it wins", file, ", ".join(lacking))
    return document


def _bytes(file: Path) -> bytes | None:
    try:
        with file.open("rb") as opened:
            raw = opened.read(LONGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WrapperNotLoadable(
            f"{NAME} cannot be read: {error.strerror}", where=str(file), help="make it a readable file, or remove it"
        ) from error
    if len(raw) > LONGEST:
        raise WrapperNotLoadable(
            f"{NAME} is larger than {LONGEST >> 20} MiB", where=str(file), help="a schema document is a few KB of JSON"
        )
    return raw


def _parsed(raw: bytes, file: Path) -> Node:
    try:
        document = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse)  # editors on Windows write a mark
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _wrong("is not UTF-8", f"{file}:{line}", "save it as UTF-8") from error
    except json.JSONDecodeError as error:
        place = f"{file}:{error.lineno}:{error.colno}"
        raise _wrong(f"is not JSON: {error.msg}", place, f"line {error.lineno}, column {error.colno}") from error
    except (ValueError, RecursionError) as error:  # NaN, a number of 5,000 digits, 10,000 brackets
        said = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise _wrong(f"is not JSON: {said}", str(file), "JSON as RFC 8259 has it") from error
    if not isinstance(document, dict):
        raise _wrong("must hold an object", str(file), '{"meta": {...}, "schemainput": {...}, "schemaoutput": {...}}')
    return document


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _rename(document: Node, name: str, version: str) -> None:
    meta = document.get("meta")
    if not isinstance(meta, dict):
        return  # the check says it, in its own words
    if name and meta.get("serviceId") != name:
        meta.setdefault("service", [meta["serviceId"]] if "serviceId" in meta else [name])
        meta["serviceId"] = name
    if version:
        meta["version"] = version


def _checked(document: Node, file: Path, body_limit: int) -> Iterable[str]:
    """The outputs of the document, which must compile."""
    # Not at the top: the validator costs a worker 8 MB, and few services have a document of their own.
    from athena_serving.wire import schema  # noqa: PLC0415

    try:
        if category.is_category(document):
            raise UsageError(
                "a category's leads to other services and has no wrapper", where="meta", help="give it its own folder"
            )
        return schema.compile(document, body_limit=body_limit).outputs
    except UsageError as error:
        raise _wrong(f"is no schema document: {error.message}", f"{file}: {error.where}", error.help) from error


def _wrong(what: str, where: str, help_text: str) -> WrapperNotLoadable:
    return WrapperNotLoadable(f"{NAME} {what}", where=where, help=help_text)
