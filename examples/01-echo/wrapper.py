"""The smallest service: it answers with the text it was sent."""

from athena_serving.sdk import DataListCls, Response, ResponseData, StringBodyField, WrapperBase


class UserRequest:
    data = StringBodyField(key="data", value=b"hello")


class UserResponse:
    result = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "echo"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config: dict[str, str]) -> int:
        return 0

    def wrapperOnceExec(self, params: dict[str, str], reqData: DataListCls) -> Response:
        sent = reqData.get("data")
        response = Response()
        response.list = [ResponseData(key="result", data=sent.data if sent else b"")]
        return response
