"""Answers the text that came in."""

from athena_serving.sdk import DataListCls, Response, ResponseData, StringBodyField, WrapperBase


class UserRequest:
    data = StringBodyField(key="data", value=b"hello")


class UserResponse:
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "echo"
    version = "v1.0"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config: dict[str, str]) -> int:
        return 0

    def wrapperFini(self) -> int:
        return 0

    def wrapperOnceExec(self, params: dict[str, str], reqData: DataListCls) -> Response:
        response = Response()
        response.list = [ResponseData(key="result", type=0, status=3, data=reqData.get("data").data)]
        return response
