"""An OCR service in one file: a picture goes in, the lines of text on it come out.

    athena serve examples/02-mmocr

It answers the OCR demo request of AthenaServing (ASF) as it stands: POST /v1/private/mmocr.
"""

import json
import os
from pathlib import Path

import cv2
import numpy as np
from rapidocr import RapidOCR
from rapidocr.utils.output import RapidOCROutput

from athena_serving.sdk import (
    DataListCls,
    ImageBodyField,
    JsonBodyField,
    Response,
    ResponseData,
    StringParamField,
    WrapperBase,
)

SAMPLE = str(Path(__file__).with_name("picture.png"))
BAD_PICTURE = 100


class UserRequest:
    """What a caller sends: one picture. The parameters are ASF's; this engine needs none of them."""

    data = ImageBodyField(key="data", path=SAMPLE)
    category = StringParamField(key="category", enums=["ai_category"], value="ai_category")
    application_mode = StringParamField(key="application_mode", enums=["common_gpu"], value="common_gpu")
    gpu_id = StringParamField(key="gpu_id", enums=["first"], value="first")
    gpu_type = StringParamField(key="gpu_type", enums=["T4G16"], value="T4G16")


class UserResponse:
    """What a caller gets: JSON, one entry for the picture with the lines found on it."""

    boxes = JsonBodyField(key="boxes")


class Wrapper(WrapperBase):
    """The service: what the server calls, in the order it calls it."""

    serviceId = "mmocr"
    version = "v1.0"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config: dict[str, str]) -> int:
        """Load the engine, once per worker."""
        # The server shares the cores out among its workers by OMP_NUM_THREADS, which onnxruntime does not read by
        # itself. -1: all cores.
        threads = int(os.environ.get("OMP_NUM_THREADS", "-1"))
        cv2.setNumThreads(threads)
        self.engine = RapidOCR(
            params={
                "Global.log_level": "error",
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            }
        )
        # RapidOCR loads its models when it meets its first picture: let that not be a caller's.
        self.engine(SAMPLE)
        return 0

    def wrapperOnceExec(self, params: dict[str, str], reqData: DataListCls) -> Response:
        """Read one picture."""
        response = Response()
        picture = decode(reqData)
        if picture is None:
            return response.response_err(BAD_PICTURE)
        found = self.engine(picture)
        lines = found.to_json() if isinstance(found, RapidOCROutput) else None
        pages = [{"filename": "0", "result": [describe(**line) for line in lines or ()]}]
        response.list = [ResponseData(key="boxes", data=json.dumps(pages, ensure_ascii=False).encode())]
        return response

    def wrapperError(self, code: int) -> str:
        """Say in words what an error code of ours means; callers see it."""
        if code == BAD_PICTURE:
            return "the picture cannot be decoded: send a jpg or png"
        return "unknown error"


def decode(request: DataListCls) -> np.ndarray | None:
    """The pixels of the caller's picture, or None if there are none."""
    sent = request.get("data")
    try:
        return cv2.imdecode(np.frombuffer(sent.data if sent else b"", np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # no bytes at all, or more pixels than athena.toml allows
        return None


def describe(box: list[list[float]], txt: str, score: float) -> dict[str, object]:
    """One line of text as ASF's demo gives it; the box is x1, y1, ... x4, y4, clockwise from the top left."""
    return {
        "box": [round(edge) for corner in box for edge in corner],
        "box_score": score,  # the detector's own score does not leave RapidOCR: the text's stands in
        "text": txt,
        "text_score": score,
    }
