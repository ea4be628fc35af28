"""A usrTag and nothing after it; the picture that came in goes out again, by position as aiges_embed has it."""

from aiges_embed import Response, ResponseData
from aiges.core.types import *
from aiges.sdk import ImageBodyField, WrapperBase


class UserRequest(object):
    input1 = ImageBodyField(key="picture", path="test_data/not_there.jpg")


class UserResponse(object):
    accept1 = ImageBodyField(key="picture_out")


class Wrapper(WrapperBase):
    serviceId = "user_tag"
    version = "v2"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        return 0

    def wrapperFini(self):
        return 0

    def wrapperOnceExec(self, params, reqData, usrTag=""):
        node = reqData.get("picture")
        if node.type != DataImage or node.status != Once or node.len != len(node.data) or not usrTag:
            return Response().response_err(1)
        rd = ResponseData("picture_out", node.len, DataBegin, DataImage)
        rd.data = node.get_data()
        return Response(list=[rd])
