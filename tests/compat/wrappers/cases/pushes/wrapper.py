"""What ASF's business layer did: acknowledges, pushes results and failures, as it is told by its first input."""

import os
import time

from athena_serving.sdk import Response, ResponseData, SessionCreateResponse, WrapperBase
from athena_serving.sdk.callback import callback
from athena_serving.sdk.logs import log

BOXES = '[{"filename":"0", "x": 1.50}]'


class Wrapper(WrapperBase):
    version = "v1"
    failing = set()

    def wrapperError(self, code):
        return "no luck"

    def wrapperCreate(self, params, sid):
        return SessionCreateResponse("handle of " + sid)

    def wrapperWrite(self, handle, req, sid):
        """Does what the first input says; nothing by default."""
        word, _, rest = req.list[0].data.decode().partition(" ")
        if word == "push":
            for status in map(int, rest.split()):
                callback(Response([ResponseData(key="boxes", data=BOXES, status=status)]), sid)
        elif word == "echo":
            callback(Response([ResponseData(key="boxes", data=rest, status=req.list[0].status)]), sid)
        elif word == "code":
            return int(rest)
        elif word == "error":
            callback(Response().response_err(int(rest)), sid)
        elif word == "unreadable":
            self.failing.add(handle)
        elif word == "until":
            while not os.path.exists(rest):
                time.sleep(0.01)

    def wrapperRead(self, handle, sid):
        return Response().response_err(7) if handle in self.failing else Response()

    def wrapperDestroy(self, handle):
        log.info("destroyed the %s", handle)
