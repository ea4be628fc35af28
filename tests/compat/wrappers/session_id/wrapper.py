"""The session's id by name, and a request called `req`; an argument of the author's own keeps its default."""

from aiges.dto import Response, ResponseData
from aiges.sdk import IntegerParamField, StringBodyField, WrapperBase


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")
    times = IntegerParamField(key="times", minimum=1, maximum=3, value=1)


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "session_id"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperOnceExec(self, params, req, sid, persId=0, glue="-"):
        if sid != params["sid"]:
            return Response().response_err(1)
        text = glue.join([req.get("data").data.decode()] * int(params.get("times", "1")))
        return Response([ResponseData(key="result", data=text)])
