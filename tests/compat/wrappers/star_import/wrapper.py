"""Everything from aiges.sdk, what that module itself imports included."""

from aiges.sdk import *
from aiges.dto import *


class UserRequest(object):
    input1 = JsonBodyField(key="data", value={"a": 1})
    number = NumberParamField(key="number", minimum=0, maximum=9, value=1)
    flag = BooleanParamField(key="flag", default=True)


class UserResponse(object):
    accept1 = JsonBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "star_import"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        return 0 if os.path.exists(sys.executable) else 1

    def wrapperOnceExec(self, params, reqData):
        asked = json.loads(reqData.get("data").data)
        kept = {name: params[name] for name in ("number", "flag")}
        q = queue.Queue()
        q.put(json.dumps({"asked": asked, "params": kept, "type": Types[DataText]}))
        return Response([ResponseData(key="result", data=q.get(), type=DataText, status=Once)])
