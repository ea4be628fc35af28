"""A service that declares all that can be declared, with words that would like to be more than words."""

RICH = """
from athena_serving.sdk import (
    AudioBodyField, BooleanParamField, ImageBodyField, IntegerParamField, JsonBodyField, NumberParamField, Response,
    ResponseData, StringBodyField, StringParamField, WrapperBase,
)


class UserRequest:
    picture = ImageBodyField(key="picture")
    voice = AudioBodyField(key="voice")
    text = StringBodyField(key="text")
    size = IntegerParamField(key="size", minimum=1, maximum=9, title="Size", description="How many <b>lines</b>.")
    ratio = NumberParamField(key="ratio", minimum=0.5, maximum=2)
    language = StringParamField(key="language", enums=["zh", "en"], required=True, description="</p><script>alert(1)")
    note = StringParamField(key="note", minLength=2, maxLength=20, description="<img src=x onerror=alert(1)>")
    strict = BooleanParamField(key="strict", default=True)


class UserResponse:
    boxes = JsonBodyField(key="boxes")
    caption = StringBodyField(key="caption")


class Wrapper(WrapperBase):
    serviceId = "rich"
    version = "v2"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        return 0

    def wrapperOnceExec(self, params, reqData):
        sizes = ",".join(str(len(node.data)) for node in reqData.list)
        return Response([ResponseData(key="boxes", data=f"[{sizes}]"), ResponseData(key="caption", data=sizes)])
"""
