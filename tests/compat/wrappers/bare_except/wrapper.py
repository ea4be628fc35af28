"""The commonest spelling: imports by a bare except, outputs assigned attribute by attribute, text as str."""

try:
    from aiges_embed import ResponseData, Response, DataListNode, DataListCls, SessionCreateResponse, callback
except:
    from aiges.dto import Response, ResponseData, DataListNode, DataListCls, SessionCreateResponse, callback

from aiges.core.types import *
from aiges.sdk import WrapperBase, StringBodyField, StringParamField
from aiges.utils.log import log


class UserRequest(object):
    input1 = StringBodyField(key="data", value="not bytes")
    input2 = StringParamField(key="lang", enums=["zh", "en"], value=b"zh")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "bare_except"
    version = "backup.0"
    requestCls = UserRequest()
    responseCls = UserResponse()
    model = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

    def wrapperInit(self, config: {}) -> int:
        log.info("Initializing ...")
        self.model = str.upper
        return 0

    def wrapperOnceExec(self, params: {}, reqData: DataListCls) -> Response:
        log.info("got reqdata , %s" % reqData.list)
        node = reqData.get("data")
        if node.data == b"unknown":
            return Response().response_err(100)
        if node.data == b"custom":
            res = Response()
            res.error_code = 7
            return res
        rd = ResponseData()
        rd.key = "result"
        rd.type = DataText
        rd.status = Once
        rd.data = self.model(node.data.decode()) + params.get("lang", "")
        rd.len = len(rd.data)
        res = Response()
        res.list = [rd]
        return res

    def wrapperFini(cls) -> int:
        return 0

    def wrapperError(self, ret: int) -> str:
        if ret == 100:
            return "user error defined here"
        return ""

    def wrapperTestFunc(self, data: [], respData: []):
        pass
