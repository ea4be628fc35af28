"""The six arguments of ASF's first style in a class of the second, as a class method."""

from aiges.sdk import StringBodyField, WrapperBase


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "old_class_method"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    @classmethod
    def wrapperOnceExec(cls, usrTag, params, reqData, respData, psrIds, psrCnt):
        for node in reqData:
            if node["data"] == b"late":
                return 10013
            data = node["data"][::-1]
            respData.append({"key": "result", "data": data, "len": len(data), "status": 3, "type": 0})
        return 0

    def wrapperError(self, ret):
        return "too late" if ret == 10013 else "?"
