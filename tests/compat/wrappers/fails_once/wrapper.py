"""Raises in init the first time, as if the card were not free yet; the next start succeeds."""

import os

from aiges.dto import Response, ResponseData
from aiges.sdk import StringBodyField, WrapperBase


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "fails_once"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        mark = os.path.join(config["folder"], "was here")
        if not os.path.exists(mark):
            open(mark, "w").close()
            raise RuntimeError("the card is not free yet")
        return 0

    def wrapperOnceExec(self, params, reqData):
        return Response([ResponseData(key="result", data=b"at last")])
