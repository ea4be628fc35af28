"""One method and no more; the service is called as its folder is."""

from aiges.dto import Response, ResponseData
from aiges.sdk import StringBodyField


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper(object):
    requestCls = UserRequest
    responseCls = UserResponse

    def wrapperOnceExec(self, params, reqData):
        said = reqData.get("data")
        if said is None:
            return Response().response_err(100)
        return Response([ResponseData("result", said.data)])
