"""Wrappers are checked by `mypy --strict` as their authors write them."""

import subprocess
import sys
from pathlib import Path
from typing import Final

WRAPPER: Final = """
import logging
from queue import Queue
from typing import Any

import aiges
import aiges.errors
from aiges.callback import callback as callback_of_old
from aiges.concurrent.fixpool import FixedPool
from aiges.core.types import AUDIO, IMAGE, STRING, VIDEO, DataBegin, DataEnd, DataImage, DataText, Once, Status, Types
from aiges.dto import DataListCls, DataListNode, Response, ResponseData, SessionCreateResponse, callback
from aiges.sdk import (
    AudioBodyField,
    BooleanParamField,
    ImageBodyField,
    IntegerParamField,
    JsonBodyField,
    NumberParamField,
    SessionManager,
    StringBodyField,
    StringParamField,
    WrapperBase,
)
from aiges.stream import StreamHandleThread, ThreadPool, WorkerThread
from aiges.types import DataContinue, DataOnce
from aiges.utils.log import getFileLogger, getLogger, log
from aiges.worker import InferClass, Worker
from aiges_embed import callback_metric, callback_trace
from athena_serving.sdk import Context, current

LEVELS = (AUDIO, IMAGE, STRING, VIDEO, DataBegin, DataContinue, DataEnd, DataImage, DataOnce, aiges.EXIT_SIG)


class UserRequest:
    text = StringBodyField(key="text", value="text", encoding="utf8", format="plain", compress="raw", status=3)
    sound = AudioBodyField(key="sound", path="a.wav", encoding="raw")
    image = ImageBodyField(key="image", path="a.png", need_base64=False, encoding="jpg")
    hints = JsonBodyField(key="hints", value={"a": 1}, need_base64=False)
    lang = StringParamField(key="lang", minLength=0, maxLength=8, enums=["zh", 3], required=True, value=b"zh")
    count = IntegerParamField(key="count", minimum=1, maximum=9, value=1, title="t", description="d")
    ratio = NumberParamField(key="ratio", minimum=0.1, maximum=0.9, enums=[], value=0.5)
    loud = BooleanParamField(key="loud", title="t", default=True, required=False)


class UserResponse:
    accept1 = JsonBodyField(key="result")


class Recognition(StreamHandleThread):
    def __init__(self, session_thread: WorkerThread, in_q: Queue[Any], out_q: Queue[Any]) -> None:
        super().__init__(session_thread, in_q, out_q)

    def init_model(self, *args: object, **kwargs: object) -> None:
        self.model = args

    def run(self) -> None:
        while not self.is_stopping:
            req = self.in_q.get()
            answer = Response(list=[ResponseData(key="result", data=req.list[0].data, len=3, status=DataEnd)])
            self.session_thread.callback_fn(answer, self.session_thread.sid)


class Predicts(InferClass):
    def predict(self, *args: Any, **kwargs: Any) -> tuple[object, bool]:
        return kwargs["req"], True


class Wrapper(WrapperBase):
    serviceId = "typed"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()
    config = {"a": "b"}
    route = ["/ocr"]
    call_type = 1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pool = FixedPool()

    def wrapperInit(self, config: dict[str, str]) -> int:
        self.log: logging.Logger = getFileLogger("%(message)s", level=logging.DEBUG)
        getLogger("%(message)s", logging.INFO, name="root").info("%s", config)
        self.session.init_wrapper_config(config)
        self.session.init_handle_pool("thread", 1, Recognition)
        worker = Worker(name="w")
        worker.register_infer_class(Predicts())
        return aiges.errors.OK if self.pool.add(worker)[0] else aiges.errors.INIT_ERROR

    def wrapperOnceExec(
        self, params: dict[str, str], reqData: DataListCls, usrTag: str = "", persId: int = 0
    ) -> Response:
        context: Context = current()
        log.info("%s of %s, %s", params, reqData.list, context.remaining())
        node: DataListNode | None = reqData.get("text")
        if node is None:
            return Response().response_err(100)
        data = ResponseData()
        data.key, data.status, data.data, data.len = "result", Once, node.data.decode(), len(node.get_data())
        data.setDataType(DataText)
        data.setData(b"x")
        callback_metric(usrTag, Types[data.type], persId)
        callback_trace(usrTag, "status", Status[data.status])
        return Response([data])

    def wrapperCreate(
        self, params: dict[str, str], sid: str, persId: int = 0, usrTag: str = ""
    ) -> SessionCreateResponse:
        handle = self.session.get_idle_handle()
        session = self.session.get_session(handle)
        if handle is None or session is None:
            return SessionCreateResponse(error_code=40001)
        session.setup_sid(sid)
        session.setup_params(params)
        session.setup_callback_fn(callback)
        return SessionCreateResponse(handle)

    def wrapperWrite(self, handle: str, datas: DataListCls, sid: str = "") -> int:
        session = self.session.get_session(handle)
        if session is not None:
            session.in_q.put(datas)
        return callback_of_old(Response(), handle, sid)

    def wrapperRead(self, handle: str, sid: str = "") -> Response:
        return Response()

    def wrapperDestroy(self, handle: str) -> int:
        self.session.push_back(handle)
        return 0

    def wrapperFini(self) -> int:
        return 0

    def wrapperError(self, code: int) -> str:
        return Types.get(code, "")


if __name__ == "__main__":
    m = Wrapper(legacy=False, is_aipaas=True, keep_schema_default_value=True)
    passed: bool = m.run() and m.run(stream=True) and m.run_once() and m.run_stream()
    documents: list[str] = [m.schema(), m.schema_legacy(), m.schema_v2()]
    managers: list[SessionManager] = [m.session]
    pools: list[ThreadPool] = []
"""


def test_wrapper_that_uses_every_name_is_well_typed(tmp_path: Path) -> None:
    """Nothing is untyped, and the old ways of overriding are compatible."""
    file = tmp_path / "wrapper.py"
    file.write_text(WRAPPER, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=110)
    assert ran.stdout.strip() == "Success: no issues found in 1 source file", ran.stdout + ran.stderr
