"""What old wrappers never had: the call itself, by name and by `current()`."""

from athena_serving.sdk import Response, ResponseData, StringBodyField, WrapperBase, current


class UserRequest:
    data = StringBodyField(key="data", value=b"hello")


class UserResponse:
    result = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "with_context"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperOnceExec(self, params, reqData, ctx):
        said = (ctx is current(), ctx.sid == params["sid"], ctx.app, ctx.service, ctx.remaining() > 1, ctx.cancelled)
        return Response([ResponseData(key="result", data=" ".join(map(str, said)))])
