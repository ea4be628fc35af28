"""Class methods throughout; a usrTag, which names the session, and a persId."""

from aiges_embed import Response, ResponseData
from aiges.sdk import StringBodyField, WrapperBase


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "class_methods"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    @classmethod
    def wrapperInit(cls, config):
        cls.ready = True
        return 0

    @classmethod
    def wrapperOnceExec(cls, params, reqData, usrTag="", persId=0):
        said = "%s %s %s %s" % (cls.ready, usrTag == params["sid"], usrTag != "", persId)
        rd = ResponseData()
        rd.key = "result"
        rd.setData(said.encode())
        rd.setDataType(0)
        res = Response()
        res.list = [rd]
        return res

    @classmethod
    def wrapperFini(cls):
        return 0

    @classmethod
    def wrapperError(cls, ret):
        return "error %d" % ret
