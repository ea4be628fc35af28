"""The callback of three arguments, called from a thread a session; its handle is a number."""

import itertools
import queue
import threading

from aiges.callback import callback
from aiges.dto import Response, ResponseData, SessionCreateResponse
from aiges.sdk import StringBodyField, WrapperBase
from aiges.utils.log import log


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "three_arguments"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        self.numbers = itertools.count(1)
        self.queues = {}
        return 0

    def answer(self, handle, sid, waiting):
        while True:
            node = waiting.get()
            if node is None:
                log.info("destroyed %s" % sid)
                return
            resp = Response()
            resp.list = [ResponseData(key="result", data=node.data.upper(), status=node.status)]
            callback(resp, handle, sid)

    def wrapperCreate(self, params, sid, userTag=""):
        s = SessionCreateResponse()
        s.handle = next(self.numbers)
        self.queues[s.handle] = queue.Queue()
        threading.Thread(target=self.answer, args=(s.handle, sid, self.queues[s.handle]), daemon=True).start()
        return s

    def wrapperWrite(self, handle, req):
        self.queues[handle].put(req.list[0])
        return 0

    def wrapperDestroy(self, handle):
        self.queues.pop(handle).put(None)
        return 0
