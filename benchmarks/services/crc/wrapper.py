"""Answers the CRC32 and the length of a picture."""

import json
import zlib

from athena_serving.sdk import DataListCls, ImageBodyField, Response, ResponseData, StringBodyField, WrapperBase


class UserRequest:
    data = ImageBodyField(key="data")


class UserResponse:
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "crc"
    version = "v1.0"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config: dict[str, str]) -> int:
        return 0

    def wrapperFini(self) -> int:
        return 0

    def wrapperOnceExec(self, params: dict[str, str], reqData: DataListCls) -> Response:
        picture = reqData.get("data").data
        answer = json.dumps({"crc32": zlib.crc32(picture), "length": len(picture)}).encode()
        response = Response()
        response.list = [ResponseData(key="result", type=0, status=3, data=answer)]
        return response
