"""`cls` where others write `self`, without a decorator and without WrapperBase; a persId that nobody sends."""

from aiges.dto import Response, ResponseData
from aiges.sdk import StringBodyField


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper:
    serviceId = "cls_for_self"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(cls, config):
        cls.greeting = "hello "
        return 0

    def wrapperOnceExec(cls, params, reqData, persId=0):
        if persId != 0:
            return Response().response_err(persId)
        res = Response()
        res.list.append(ResponseData(key="result", data=cls.greeting + reqData.get("data").data.decode()))
        return res

    def wrapperFini(cls):
        return 0

    def wrapperError(cls, ret):
        return cls.greeting + str(ret)
