"""Says when its caller has said its last."""

from athena_serving.sdk import (
    AudioBodyField,
    Response,
    ResponseData,
    SessionCreateResponse,
    StringBodyField,
    StringParamField,
    WrapperBase,
)
from athena_serving.sdk.callback import callback
from athena_serving.sdk.logs import log


class UserRequest:
    text = StringBodyField(key="text", value=b"warm up")
    audio = AudioBodyField(key="audio")
    ctrl = StringParamField(key="ctrl", maxLength=200)


class UserResponse:
    result = StringBodyField(key="result")
    more = StringBodyField(key="more")


def answer(text, status=1, key="result", type=0):
    return Response([ResponseData(key=key, data=str(text), status=status, type=type)])


class Wrapper(WrapperBase):
    serviceId = "pieces"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperStream(self, params, pieces):
        """Names each piece; then it has heard all."""
        for piece in pieces:
            yield f"{piece.key} {piece.status}"
        yield "all heard"
