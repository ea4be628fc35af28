"""Starts a thread and a pool in init that nobody stops: neither is a daemon, and both wait for ever."""

import threading
from concurrent.futures import ThreadPoolExecutor

from aiges.dto import Response, ResponseData
from aiges.sdk import StringBodyField, WrapperBase


class UserRequest(object):
    input1 = StringBodyField(key="data", value=b"hello")


class UserResponse(object):
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "stays_behind"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        self.pool = ThreadPoolExecutor(2)
        self.pool.submit(threading.Event().wait)
        self.thread = threading.Thread(target=threading.Event().wait)
        self.thread.start()
        return 0

    def wrapperOnceExec(self, params, reqData):
        said = self.pool.submit(reqData.get("data").data.decode).result()
        return Response([ResponseData(key="result", data="%s %s" % (said, self.thread.is_alive()))])

    def wrapperFini(self):
        print("fini was called")
        return 0
