"""Hands the call on to somebody else's HTTP interface and translates what that says."""

import json
import urllib.error
import urllib.request

from aiges.dto import Response, ResponseData
from aiges.sdk import JsonBodyField, StringBodyField, StringParamField, WrapperBase


class UserRequest(object):
    prompt = StringBodyField(key="prompt")
    model = StringParamField(key="model", value="small", required=False)


class UserResponse(object):
    accept1 = JsonBodyField(key="answer")


class Wrapper(WrapperBase):
    serviceId = "forwarder"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        self.requrl = config["requrl"]
        return 0

    def wrapperOnceExec(self, params, reqData):
        prompt = reqData.get("prompt").data.decode("utf-8")
        asked = json.dumps({"prompt": prompt, "model": params.get("model", "small")}).encode()
        request = urllib.request.Request(self.requrl, asked, {"content-type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=5) as answer:
                said = answer.read()
        except urllib.error.HTTPError as error:
            return Response().response_err(5000 + error.code - 400)
        res = Response()
        data = ResponseData()
        data.key = "answer"
        data.data = said
        res.list = [data]
        return res

    def wrapperError(self, ret):
        return {5000: "bad request", 5029: "too many requests"}.get(ret, "upstream failed")
