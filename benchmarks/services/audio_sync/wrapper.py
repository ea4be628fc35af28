"""Echoes every frame of a session: a generator, a thread for each session."""

from collections.abc import Iterable, Iterator

from athena_serving.sdk import AudioBodyField, DataListNode, WrapperBase


class UserRequest:
    data = AudioBodyField(key="data", path="")


class UserResponse:
    accept1 = AudioBodyField(key="result", path="")


class Wrapper(WrapperBase):
    serviceId = "audio_sync"
    version = "v1.0"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config: dict[str, str]) -> int:
        return 0

    def wrapperFini(self) -> int:
        return 0

    def wrapperStream(self, params: dict[str, str], pieces: Iterable[DataListNode]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece.data
