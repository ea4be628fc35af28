"""Looks at its input through a memoryview and answers with a part of it, uncopied."""

from aiges.core.types import *
from aiges.dto import Response, ResponseData
from aiges.sdk import AudioBodyField, WrapperBase


class UserRequest(object):
    input1 = AudioBodyField(key="sound", path="")


class UserResponse(object):
    accept1 = AudioBodyField(key="head")
    accept2 = AudioBodyField(key="even")


class Wrapper(WrapperBase):
    serviceId = "memory_views"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        return 0

    def wrapperOnceExec(self, params, datas):
        view = memoryview(datas.get("sound").data)
        head = ResponseData(key="head", type=DataAudio, status=Once)
        head.data = view
        head.len = 4
        even = ResponseData(key="even", data=view[::2], len=99, type=DataAudio, status=DataEnd)
        return Response([head, even])
