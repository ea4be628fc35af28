"""No callback: results are fetched by wrapperRead, one behind the last write; nothing yet is None, or an empty list."""

from aiges.dto import Response, ResponseData, SessionCreateResponse
from aiges.sdk import StringBodyField, WrapperBase
from aiges.utils.log import log


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "reads"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()
    heard = None

    def wrapperInit(self, config):
        self.heard = {}
        return 0

    def wrapperCreate(self, params, sid, persId=0):
        self.heard[sid] = []
        return SessionCreateResponse(sid, 0)

    def wrapperWrite(self, handle, req, sid):
        self.heard[handle] += req.list
        return 0

    def wrapperRead(self, handle, sid):
        waiting = self.heard[handle]
        if not waiting:
            return None
        if len(waiting) == 1 and waiting[0].status < 2:
            return Response()
        node = waiting.pop(0)
        return Response(list=[ResponseData(key="result", data=node.data.upper(), status=node.status)])

    def wrapperDestroy(self, handle):
        del self.heard[handle]
        log.info("destroyed %s" % handle)
        return 0
