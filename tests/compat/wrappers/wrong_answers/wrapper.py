"""Answers with what is no answer, and with what its schema does not know."""

from aiges.core.types import *
from aiges.dto import Response, ResponseData
from aiges.sdk import StringBodyField, WrapperBase


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"right")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


def output(key="result", data=b"right", type=DataText):
    res = Response()
    res.list = [ResponseData(key=key, data=data, type=type, status=DataBegin)]
    return res


class Wrapper(WrapperBase):
    serviceId = "wrong_answers"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    answers = {
        "right": output(),
        "none": None,
        "dict": {"result": "right"},
        "empty": Response(),
        "untouched": Response(list=[ResponseData()]),
        "key": output(key="reslut"),
        "type": output(type=DataImage),
        "item": Response(list=[{"key": "result", "data": b"right"}]),
    }

    def wrapperInit(self, config):
        return 0

    def wrapperOnceExec(self, params, reqData):
        return self.answers[reqData.get("data").data.decode()]

    def wrapperError(self, ret):
        return None
