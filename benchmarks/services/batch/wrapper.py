"""A job of 5 ms, of which up to sixteen together take 6 ms; `job_seconds` is the same as in `peers/job.py`."""

import time

from athena_serving.sdk import DataListCls, Response, ResponseData, StringBodyField, WrapperBase


def job_seconds(size: int) -> float:
    """How long a batch of this size takes."""
    return 0.005 if size == 1 else 0.006


class UserRequest:
    data = StringBodyField(key="data", value=b"hello")


class UserResponse:
    accept1 = StringBodyField(key="result")


class Item:
    """What the wrapper sees of an item of its batch."""

    params: dict[str, str]
    data: DataListCls


class Wrapper(WrapperBase):
    serviceId = "batch"
    version = "v1.0"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config: dict[str, str]) -> int:
        return 0

    def wrapperFini(self) -> int:
        return 0

    def wrapperBatchExec(self, batch: list[Item]) -> list[Response]:
        time.sleep(job_seconds(len(batch)))
        return [self._answer(item) for item in batch]

    def _answer(self, item: Item) -> Response:
        response = Response()
        response.list = [ResponseData(key="result", type=0, status=3, data=item.data.get("data").data)]
        return response
