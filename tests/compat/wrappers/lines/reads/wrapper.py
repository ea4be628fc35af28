"""Results by wrapperRead, at the read whose number the caller named."""

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
    serviceId = "reads"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperCreate(self, params, sid):
        self.left, self.reads = int(params["ctrl"]), 0
        return SessionCreateResponse(sid)

    def wrapperRead(self, handle):
        """Something at the read whose number the caller named."""
        self.reads += 1
        return answer(self.reads, 2) if self.reads == self.left else Response()

    def wrapperDestroy(self, handle):
        log.info("destroyed %s after %d reads", handle, self.reads)
