"""What the self-test says of an answer, without running anything: the checks of ASF's own test (wrapper.md 1.6).

What the server would refuse fails; what it puts right, or lets pass, is a warning.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from athena_serving.sdk.constants import DataOnce, Types
from athena_serving.sdk.data import Response, to_bytes
from athena_serving.sdk.fields import BodyField

OK: Final = "ok"
WARNING: Final = "warn"
FAILURE: Final = "FAIL"


class Finding(NamedTuple):
    """One check: what it was about, how it went, and what to do."""

    about: str
    verdict: str = OK
    words: str = ""
    place: str = ""
    """FILE:LINE of the wrapper's, where that is known."""


def judge(response: object, outputs: dict[str, BodyField], *, is_once: bool = True) -> Iterator[Finding]:
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
