"""An early signature of wrapperCreate, with a number that nobody sets; the handle is a plain text."""

from aiges_embed import *
from aiges.sdk import *
from aiges.utils.log import log


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "error_number"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        self.sids = {}
        return 0

    def wrapperCreate(self, params: {}, errNum: int, sid: str, persId: int = 0) -> str:
        handle = "session of %s" % sid
        self.sids[handle] = sid
        return handle

    def wrapperWrite(self, handle: str, req: DataListCls, sid: str) -> int:
        res = Response()
        for node in req.list:
            rd = ResponseData()
            rd.key, rd.status = "result", node.status
            rd.data = node.get_data().upper()
            res.list = [rd]
        return callback(res, handle)

    def wrapperDestroy(self, handle: str) -> int:
        log.info("destroyed %s" % self.sids.pop(handle))
        return 0
