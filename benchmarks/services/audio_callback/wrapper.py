"""Echoes every frame of a session: create and write, results by callback, as ASF has it."""

from athena_serving.sdk import (
    AUDIO,
    AudioBodyField,
    DataListCls,
    Response,
    ResponseData,
    SessionCreateResponse,
    WrapperBase,
    callback,
)


class UserRequest:
    data = AudioBodyField(key="data", path="")


class UserResponse:
    accept1 = AudioBodyField(key="result", path="")


class Wrapper(WrapperBase):
    serviceId = "audio_callback"
    version = "v1.0"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config: dict[str, str]) -> int:
        return 0

    def wrapperFini(self) -> int:
        return 0

    def wrapperCreate(self, params: dict[str, str], sid: str) -> SessionCreateResponse:
        created = SessionCreateResponse()
        created.handle = sid
        return created

    def wrapperWrite(self, handle: str, req: DataListCls, sid: str) -> int:
        piece = req.get("data")
        response = Response()
        response.list = [ResponseData(key="result", type=AUDIO, status=piece.status, data=piece.data)]
        callback(response, sid)
        return 0

    def wrapperDestroy(self, handle: str) -> int:
        return 0
