"""Raises in every method that is asked to explain or to answer."""

import sys

from aiges.dto import Response, ResponseData
from aiges.sdk import StringBodyField, WrapperBase


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Wrapper(WrapperBase):
    serviceId = "raises"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        return None

    def wrapperOnceExec(self, params, reqData):
        said = reqData.get("data").data.decode()
        if said == "raise":
            raise ValueError("no such model")
        if said == "key":
            return params["not there"]
        if said == "exit":
            sys.exit(3)
        if said == "speechless":
            raise Speechless
        if said == "code":
            return Response().response_err(7)
        if said == "type":
            return Response([ResponseData(key="result", data=[5])])
        return Response([ResponseData(key="result", data=said.encode())])

    def wrapperError(self, ret):
        raise KeyError(ret)

    def wrapperFini(self):
        return 0
