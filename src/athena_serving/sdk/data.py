"""What goes into a wrapper and what comes out: one set of classes for every spelling in the field.

ASF had two incompatible flavours, `aiges.dto` and `aiges_embed`; these accept what either did (wrapper.md 1.3, RULE).
"""

import json
from builtins import len as size
from collections.abc import Iterable

from athena_serving.sdk.constants import DataOnce, DataText, Types

Bytes = bytes | bytearray | memoryview


def to_bytes(data: object) -> Bytes:
    """`data` as bytes, without a copy where it is bytes already; a str becomes UTF-8.

    Raises TypeError naming the type, for anything else.
    """
    if type(data) is bytes:
        return data
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, memoryview):
        return data.cast("B") if data.c_contiguous else data.tobytes()
    if isinstance(data, bytes | bytearray):
        return data
    raise TypeError(f"data must be bytes, bytearray, memoryview or str, not {type(data).__name__}")


class Datum:
    """One named datum: `key`, `data`, `len`, `type`, `status`, all of them assignable.

    `len` follows `data` until it is set; a length set afterwards may only shorten what is delivered, since ASF's
    bridge trusted it and read beyond the buffer.
    """

    def __init__(
        self,
        key: str = "",
        data: object = b"",
        *,
        type: int | None = DataText,  # noqa: A002  # ASF's name
        status: int = DataOnce,
    ) -> None:
        self.key = key
        self.status = status
        self.type = type
        self.data = data

    @property
    def data(self) -> Bytes:
        """The bytes. May be set to bytes, bytearray, memoryview, or a str, which becomes UTF-8."""
        return self._data

    @data.setter
    def data(self, data: object) -> None:
        self._set(data)

    def _set(self, data: object) -> None:
        self._data = to_bytes(data)
        self._declared: int | None = None

    @property
    def len(self) -> int:
        """Bytes in `data`, or the length that was declared."""
        return size(self._data) if self._declared is None else self._declared

    @len.setter  # noqa: A003  # the property itself
    def len(self, length: int) -> None:
        self._declared = length

    @property
    def type(self) -> int:
        """What `data` holds: DataText, DataAudio, DataImage or DataVideo. None counts as text."""
        return self._type

    @type.setter  # noqa: A003  # the property itself
    def type(self, kind: int | None) -> None:
        self._type = DataText if kind is None else kind

    @property
    def content(self) -> Bytes:
        """What is delivered: `data`, cut at `len` if that is shorter."""
        if self._declared is None or self._declared >= size(self._data):
            return self._data
        return self._data[: max(self._declared, 0)]

    def toJSON(self) -> str:
        """The datum as JSON text, for logs; bytes that are not UTF-8 show as U+FFFD."""
        text = bytes(self.content).decode(errors="replace")
        shown = {"key": self.key, "data": text, "len": self.len, "type": self.type, "status": self.status}
        return json.dumps(shown, ensure_ascii=False)

    def __repr__(self) -> str:
        # Without the bytes: 47 of 55 published wrappers log "%s" % reqData.list.
        kind = self.__class__.__name__
        return f"{kind}(key={self.key!r}, len={self.len}, type={self.type}, status={self.status})"


class ResponseData(Datum):
    """One output of a wrapper.

    By keyword, or by position: as in `aiges.dto` (key, data, length, type, status), or, when the second and third are
    ints, as in `aiges_embed` (key, len, status, type). A length of 0 means "not said", as in `aiges.dto`. Raises
    TypeError for data that are not bytes or text.
    """

    def __init__(
        self,
        key: str = "",
        data: object = b"",
        length: int | None = None,
        type: int | None = DataText,  # noqa: A002  # ASF's name
        status: int = DataOnce,
        *,
        len: int = 0,  # noqa: A002  # ASF's name
    ) -> None:
        if isinstance(data, int) and length is not None:  # a number alone is a slip, not `aiges_embed`'s four
            length, status, data = data, length, b""
        super().__init__(key, data, type=type, status=status)
        if length or len:
            self.len = length or len

    def setDataType(self, kind: int) -> None:
        """Set `type`. Raises ValueError unless it is one of the four."""
        if kind not in Types:
            raise ValueError(f"no data type {kind!r}: DataText 0, DataAudio 1, DataImage 2 or DataVideo 3")
        self.type = kind

    def setData(self, data: object) -> None:
        """Set `data`."""
        self.data = data

    @property
    def is_untouched(self) -> bool:
        """Is it as `ResponseData()` made it? Such an item in an answer is no answer."""
        return not self.key and not self._data and self._declared is None


class Response:
    """A wrapper's answer: `list` of outputs, or an `error_code` that is not 0."""

    def __init__(self, list: Iterable[ResponseData] | None = None, error_code: int = 0) -> None:  # noqa: A002  # ASF's name
        self.list = [*(list or ())]
        self.error_code = error_code

    def response_err(self, code: int) -> "Response":
        """Make this an error answer: `return Response().response_err(100)`; `wrapperError(100)` says what it means."""
        self.error_code = code
        return self

    @property
    def outputs(self) -> "list[ResponseData]":
        """The outputs, without the lone default item that old code leaves in `list`."""
        # Wrappers may bring classes of their own that only look like ours.
        if len(self.list) == 1 and getattr(self.list[0], "is_untouched", False):
            return []
        return self.list


class DataListNode(Datum):
    """One input of a call. `desc` holds what the caller said about it, every value a str: encoding, sample_rate..."""

    def __init__(
        self,
        key: str = "",
        data: object = b"",
        *,
        type: int | None = DataText,  # noqa: A002  # ASF's name
        status: int = DataOnce,
        desc: dict[str, str] | None = None,
        len: int = 0,  # noqa: A002  # ASF's name
    ) -> None:
        super().__init__(key, data, type=type, status=status)
        self.desc = {} if desc is None else desc
        if len:
            self.len = len

    @property
    def data(self) -> bytes:
        """The bytes; a copy is made on first use where they came as a view, for `json.loads` and `.decode()`."""
        if not isinstance(self._data, bytes):
            self._data = bytes(self._data)
        return self._data

    @data.setter
    def data(self, data: object) -> None:
        self._set(data)

    def get_data(self) -> bytes:
        """The data, as `aiges_embed` has it."""
        return self.data


class DataListCls:
    """The inputs of a call: `reqData.list`, or `reqData.get("image").data`."""

    def __init__(self, list: Iterable[DataListNode] | None = None) -> None:  # noqa: A002  # ASF's name
        self.list = [*(list or ())]

    def get(self, key: str) -> DataListNode | None:
        """The first input named `key`; None if the caller sent none."""
        return next((node for node in self.list if node.key == key), None)


class SessionCreateResponse:
    """What `wrapperCreate` answers: the `handle` of the new session, or an `error_code` that is not 0."""

    def __init__(self, handle: str = "", error_code: int = 0) -> None:
        self.handle = handle
        self.error_code = error_code

    def toJSON(self) -> str:
        """The answer as JSON text."""
        return json.dumps({"handle": self.handle, "error_code": self.error_code})
