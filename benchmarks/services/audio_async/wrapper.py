"""Echoes every frame of a session: an async generator, all sessions on one thread."""

from collections.abc import AsyncIterable, AsyncIterator

from athena_serving.sdk import AudioBodyField, DataListNode, WrapperBase


class UserRequest:
    data = AudioBodyField(key="data", path="")


class UserResponse:
    accept1 = AudioBodyField(key="result", path="")


class Wrapper(WrapperBase):
    serviceId = "audio_async"
    version = "v1.0"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config: dict[str, str]) -> int:
        return 0

    def wrapperFini(self) -> int:
        return 0

    async def wrapperStream(self, params: dict[str, str], pieces: AsyncIterable[DataListNode]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece.data
