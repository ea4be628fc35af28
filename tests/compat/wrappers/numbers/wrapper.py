"""Computes with numpy where there is one: outputs are views of its arrays, data types its integers."""

try:
    import numpy as np
except ImportError:
    np = None

from aiges.core.types import *
from aiges.dto import Response, ResponseData
from aiges.sdk import AudioBodyField, StringBodyField, WrapperBase


class UserRequest(object):
    input1 = AudioBodyField(key="sound")


class UserResponse(object):
    accept1 = AudioBodyField(key="doubled")
    accept2 = StringBodyField(key="sum")


class Wrapper(WrapperBase):
    serviceId = "numbers"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        return 0

    def wrapperOnceExec(self, params, reqData):
        raw = reqData.get("sound").data
        if np is None:
            doubled, total, kind = bytes(2 * one for one in raw), sum(raw), DataAudio
        else:
            samples = np.frombuffer(raw, dtype=np.uint8)
            doubled, total, kind = (samples * 2).data, samples.sum(), np.int64(DataAudio)
        return Response(
            [
                ResponseData(key="doubled", data=doubled, type=kind),
                ResponseData(key="sum", data=str(total)),
            ]
        )
