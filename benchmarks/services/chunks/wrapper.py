"""Answers one text with a hundred short ones; `PIECES` are the same as in `peers/pieces.py`."""

from collections.abc import Iterable, Iterator

from athena_serving.sdk import DataListNode, StringBodyField, WrapperBase

PIECES = [f"piece {number:010d}" for number in range(100)]


class UserRequest:
    data = StringBodyField(key="data", value=b"hello")


class UserResponse:
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "chunks"
    version = "v1.0"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config: dict[str, str]) -> int:
        return 0

    def wrapperFini(self) -> int:
        return 0

    def wrapperStream(self, params: dict[str, str], pieces: Iterable[DataListNode]) -> Iterator[str]:
        for _piece in pieces:
            yield from PIECES
