"""Made for streams only, each with a thread of its own from the pool; one request is a session of one step."""

from aiges_embed import Response, ResponseData, SessionCreateResponse, callback
from aiges.core.types import *
from aiges.sdk import AudioBodyField, StringBodyField, WrapperBase
from aiges.stream import StreamHandleThread


class UserRequest(object):
    input1 = AudioBodyField(key="audio")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Recognition(StreamHandleThread):
    def __init__(self, session_thread, in_q, out_q):
        super().__init__(session_thread, in_q, out_q)

    def init_model(self, *args, **kwargs):
        self.heard = b""

    def run(self):
        self.init_model()
        while not self.is_stopping:
            req = self.in_q.get()
            self.heard += req.list[0].data
            rd = ResponseData(key="result", data=self.heard, status=req.list[0].status)
            self.session_thread.callback_fn(Response([rd]), self.session_thread.sid)


class Wrapper(WrapperBase):
    serviceId = "only_streams"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        self.session.init_wrapper_config(config)
        self.session.init_handle_pool("thread", 1, Recognition)
        return 0

    def wrapperCreate(self, params, sid, persId=0, usrTag=""):
        res = SessionCreateResponse()
        handle = self.session.get_idle_handle()
        if handle is None:
            res.error_code = 40001
            return res
        session = self.session.get_session(handle=handle)
        session.setup_sid(sid)
        session.setup_params(params)
        session.setup_callback_fn(callback)
        res.handle = handle
        return res

    def wrapperWrite(self, handle, req, sid):
        self.session.get_session(handle=handle).in_q.put(req)
        return 0

    def wrapperDestroy(self, handle):
        self.session.reset_session(handle)
        return 0

    def wrapperError(self, ret):
        return "all sessions are taken" if ret == 40001 else ""
