"""Takes log.info for print, in fini, where nobody ever saw it fail."""

from aiges.dto import Response, ResponseData
from aiges.sdk import StringBodyField, WrapperBase
from aiges.utils.log import log


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "raises_in_fini"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        return 0

    def wrapperOnceExec(self, params, reqData):
        return Response([ResponseData(key="result", data=reqData.list[0].data)])

    def wrapperFini(self):
        log.info("Wrapper finish.", flush=True)
        return 0
