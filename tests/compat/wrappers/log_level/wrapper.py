"""Takes its log level from the settings, and cannot do without."""

import logging

from aiges.dto import Response, ResponseData
from aiges.sdk import StringBodyField, WrapperBase
from aiges.utils.log import log


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "log_level"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        self.level = logging.getLevelName(config["log_level"].upper())
        log.info("common.lic is %s", config.get("common.lic", 10))
        return 0

    def wrapperOnceExec(self, params, reqData):
        return Response([ResponseData(key="result", data=str(self.level))])
