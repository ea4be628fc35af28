"""The SDK's own pool: a handle is a thread, which is given back in wrapperDestroy; the model is the thread's own."""

try:
    from aiges_embed import ResponseData, Response, DataListNode, DataListCls, SessionCreateResponse, callback
except:
    from aiges.dto import Response, ResponseData, DataListNode, DataListCls, SessionCreateResponse, callback

from aiges.core.types import *
from aiges.sdk import WrapperBase, StringBodyField, StringParamField
from aiges.stream import StreamHandleThread
from aiges.utils.log import log


class MyReqDataThread(StreamHandleThread):
    def __init__(self, session_thread, in_q, out_q):
        super().__init__(session_thread, in_q, out_q)
        self.is_stopping = False

    def init_model(self, *args, **kwargs):
        self.model = bytes.upper

    def infer(self, req):
        node = req.list[0]
        rd = ResponseData()
        rd.key = "result"
        rd.setDataType(DataText)
        rd.status = node.status
        rd.setData(self.model(node.data))
        res = Response()
        res.list = [rd]
        self.session_thread.callback_fn(res, self.session_thread.sid)

    def run(self):
        self.init_model(self.session_thread.handle)
        while not self.is_stopping:
            self.infer(self.in_q.get())


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")
    input2 = StringParamField(key="ctrl", value="helloworld")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "thread_pool"
    version = "backup.0"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

    def wrapperInit(self, config: {}) -> int:
        self.session.init_wrapper_config(config)
        self.session.init_handle_pool("thread", 2, MyReqDataThread)
        return 0

    def wrapperOnceExec(self, params: {}, reqData: DataListCls) -> Response:
        return Response().response_err(100)

    def wrapperCreate(self, params: {}, sid: str, persId: int = 0) -> SessionCreateResponse:
        s = SessionCreateResponse()
        handle = self.session.get_idle_handle()
        if not handle:
            s.error_code = -1
            s.handle = ""
            return s
        _session = self.session.get_session(handle=handle)
        _session.setup_sid(sid)
        _session.setup_params(params)
        _session.setup_callback_fn(callback)
        s.handle = handle
        s.error_code = 0
        return s

    def wrapperWrite(self, handle: str, req: DataListCls, sid: str) -> int:
        _session = self.session.get_session(handle=handle)
        if _session is None:
            log.info("can't get this handle: %s" % handle)
            return -1
        _session.in_q.put(req)
        return 0

    def wrapperDestroy(self, handle: str) -> int:
        log.info("destroyed %s" % self.session.get_session(handle=handle).sid)
        self.session.reset_session(handle)
        self.session.push_back(handle)
        return 0

    def wrapperFini(cls) -> int:
        return 0

    def wrapperError(self, ret: int) -> str:
        return "user error defined here"

    def wrapperTestFunc(self, data: [], respData: []):
        pass
