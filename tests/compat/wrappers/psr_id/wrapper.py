"""A psrID, in capitals; the attributes that the caller gave its input are in `desc`."""

from aiges.dto import Response, ResponseData
from aiges.sdk import StringBodyField, WrapperBase


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "psr_id"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        pass

    def wrapperFini(self):
        pass

    def wrapperOnceExec(self, params, reqData, usrTag="", psrID=0):
        said = "%s %s" % (reqData.get("data").desc["encoding"], psrID)
        return Response([ResponseData(key="result", data=bytearray(said.encode()))])
