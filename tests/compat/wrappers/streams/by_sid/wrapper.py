"""Answers out of wrapperWrite itself, by sid; methods that call their instance cls, and end without a return."""

from aiges.dto import Response, ResponseData, SessionCreateResponse, callback
from aiges.sdk import StringBodyField, WrapperBase
from aiges.utils.log import log


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "by_sid"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(cls, config):
        return 0

    def wrapperCreate(cls, params, sid):
        resp = SessionCreateResponse()
        resp.handle = sid
        return resp

    def wrapperWrite(cls, handle, req, sid):
        node = req.get("data")
        rd = ResponseData(key="result", data=node.data.upper(), status=node.status)
        response = Response()
        response.list.append(rd)
        callback(response, sid)

    def wrapperDestroy(cls, handle):
        log.info("destroyed %s", handle)
