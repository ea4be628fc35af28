"""Threads of its own that are no daemons, fed by one queue; the answers go by usrTag. wrapperFini stops them."""

import queue
import threading

from aiges_embed import callback, DataListCls, Response, ResponseData, SessionCreateResponse
from aiges.core.types import *
from aiges.sdk import StringBodyField, WrapperBase
from aiges.utils.log import log


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "by_tag"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        self.tags = {}
        self.tasks = queue.Queue()
        self.workers = [threading.Thread(target=self.work)]
        for worker in self.workers:
            worker.start()
        return 0

    def work(self):
        while True:
            task = self.tasks.get()
            if task is None:
                return
            tag, text, status = task
            r = ResponseData()
            r.key = "result"
            r.data = text.upper()
            r.len = len(r.data)
            r.type = DataText
            r.status = status
            resp = Response()
            resp.list = [r]
            if callback(resp, tag) != 0:
                log.error("nobody is there for %s" % tag)
            if status == DataEnd and callback(resp, tag) == -1:
                log.info("%s has heard its last" % tag)

    def wrapperCreate(self, params, sid, persId=0, usrTag=""):
        s = SessionCreateResponse()
        s.handle = "handle-" + usrTag
        self.tags[s.handle] = usrTag
        return s

    def wrapperWrite(self, handle, req):
        for node in req.list:
            self.tasks.put((self.tags[handle], node.data.decode(), node.status))
        return 0

    def wrapperDestroy(self, handle):
        log.info("destroyed %s" % self.tags.pop(handle))
        return 0

    def wrapperFini(self):
        for _ in self.workers:
            self.tasks.put(None)
        for worker in self.workers:
            worker.join()
        log.info("all workers of by_tag are home")
        return 0
