"""Methods without a self: functions that happen to stand in a class."""

from aiges.dto import Response, ResponseData
from aiges.sdk import JsonBodyField, StringBodyField

import json


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")


class UserResponse(object):
    accept1 = JsonBodyField(key="result")


class Wrapper(object):
    serviceId = "static_methods"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    @staticmethod
    def wrapperInit(config):
        return 0

    @staticmethod
    def wrapperOnceExec(params, reqdata):
        words = reqdata.get("data").data.decode().split()
        return Response([ResponseData(key="result", data=json.dumps({"words": words}))])

    @staticmethod
    def wrapperFini():
        return 0

    @staticmethod
    def wrapperError(ret):
        return ""
