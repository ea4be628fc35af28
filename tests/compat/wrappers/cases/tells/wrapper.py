"""Tells at every step what it knows of its caller."""

import json

from athena_serving.sdk import Response, ResponseData, SessionCreateResponse, WrapperBase, current
from athena_serving.sdk.callback import callback


class Wrapper(WrapperBase):
    version = "v1"

    def wrapperCreate(self, params, sid):
        self.params = params
        return SessionCreateResponse(sid)

    def wrapperWrite(self, handle, req, sid):
        call = current()
        said = json.dumps({"params": self.params, "app": call.app, "sids": [handle, sid, call.sid]})
        callback(Response([ResponseData(key="boxes", data=said, status=req.list[0].status)]), sid)
