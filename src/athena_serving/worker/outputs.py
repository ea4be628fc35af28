"""Outputs of user code as pieces: our objects, what looks like them, and the dicts of ASF's first style.

What is no output raises `TypeError` or `ValueError`, in words for the wrapper's author: nothing may reach the door that
it takes for a bad frame.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import index
from typing import SupportsIndex

from athena_serving.sdk.data import Bytes, Datum, ResponseData, to_bytes
from athena_serving.wire.messages import DataType, Piece, Reply, Status

Read = Callable[[object, int], Piece]
"""An output and the status it gets, as a piece."""


def step(items: Iterable[object], read: Read) -> Reply:
    """One step of a session: the last, if one of its items says END or ONCE (wrapper.md 5.5)."""
    pieces = [read(item, _status(item)) for item in items]
    return Reply(pieces, max(piece.status for piece in pieces) if pieces else Status.CONTINUE)


def piece(item: object, status: int) -> Piece:
    """A `ResponseData`, or what has a key and data as it has."""
    if isinstance(item, ResponseData):
        data = item.content
    elif isinstance(item, Datum) or not hasattr(item, "key") or not hasattr(item, "data"):
        raise TypeError(f"Response.list holds a {type(item).__name__}, not a ResponseData")
    else:
        data = to_bytes(item.data)
    key, kind = item.key, getattr(item, "type", 0)
    if type(key) is not str or not key.isascii():  # most are, and every call comes here
        key = _key(key, "ResponseData")
    return Piece(key, kind if type(kind) is int and 0 <= kind < 1 << 16 else _kind(kind), status, {}, data)


def old_piece(item: object, status: int) -> Piece:
    """A dict of ASF's first style (wrapper.md 2.4), or an output of the later ones."""
    if not isinstance(item, Mapping):
        return piece(item, status)
    if "data" not in item:
        raise ValueError(f"an item of respData has no data: it has {', '.join(map(str, item)) or 'nothing'}")
    return Piece(_key(item.get("key"), "respData"), _kind(item.get("type")), status, {}, _old_data(item))


def number(value: object) -> int | None:
    """What a method returned as a plain int, numpy's included; None if it is no number."""
    if type(value) is int:
        return value
    return index(value) if isinstance(value, SupportsIndex) else None


def _old_data(item: Mapping[str, object]) -> Bytes:
    """Of bytes all count; of a str as many bytes of UTF-8 as it declares, if it does (wrapper.md 2.4)."""
    data = to_bytes(item["data"])
    length = item.get("len")
    if not isinstance(item["data"], str) or length is None:
        return data
    declared = number(length)
    if declared is None:
        raise TypeError(f"the len of an item of respData must be an int, not {type(length).__name__}")
    return data[: max(declared, 0)]


def _key(value: object, holder: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"the key of a {holder} must be a str, not {type(value).__name__}")
    value.encode()  # ValueError: a lone surrogate, which no frame can carry
    return value


def _kind(value: object) -> int:
    """A data type as a plain number. Whether the schema knows it is for the door to say."""
    if value is None:
        return DataType.TEXT
    kind = number(value)
    if kind is None or not 0 <= kind < 1 << 16:
        raise TypeError(f"a type must be DataText 0, DataAudio 1, DataImage 2 or DataVideo 3, not {value!r}")
    return kind


def _status(item: object) -> int:
    """What an item of a session says of its place; nothing means ONCE, which ends the session (wrapper.md 1.3)."""
    said = item.get("status") if isinstance(item, Mapping) else getattr(item, "status", None)
    if said is None:
        return Status.ONCE
    status = number(said)
    if status is None or not Status.BEGIN <= status <= Status.ONCE:
        raise TypeError(f"a status must be DataBegin 0, DataContinue 1, DataEnd 2 or DataOnce 3, not {said!r}")
    return status
