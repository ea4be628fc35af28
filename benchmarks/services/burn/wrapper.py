"""Uses two milliseconds of CPU; `burn` is the same as in `peers/burn.py`."""

import hashlib
import json
import time

from athena_serving.sdk import DataListCls, Response, ResponseData, StringBodyField, WrapperBase

BURN_SECONDS = 0.002


def burn(seconds: float) -> int:
    """Use this much CPU time of the calling thread, holding the GIL; microseconds really used."""
    start, digest = time.thread_time(), b""
    while (used := time.thread_time() - start) < seconds:
        for _ in range(50):
            digest = hashlib.sha256(digest).digest()
    return int(used * 1e6)


class UserRequest:
    data = StringBodyField(key="data", value=b"burn")


class UserResponse:
    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "burn"
    version = "v1.0"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config: dict[str, str]) -> int:
        return 0

    def wrapperFini(self) -> int:
        return 0

    def wrapperOnceExec(self, params: dict[str, str], reqData: DataListCls) -> Response:
        answer = json.dumps({"burnt_us": burn(BURN_SECONDS)}).encode()
        response = Response()
        response.list = [ResponseData(key="result", type=0, status=3, data=answer)]
        return response
