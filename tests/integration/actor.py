"""A wrapper that does what its caller says, and a client that writes bytes as they are."""

import contextlib
import json
import socket
from typing import Any, Final, NamedTuple

ACTOR: Final = """
import os, subprocess, sys, time
from athena_serving.sdk import IntegerParamField, Response, ResponseData, StringBodyField, WrapperBase, current


class UserRequest:
    data = StringBodyField(key="data")
    size = IntegerParamField(key="size", minimum=1, maximum=9, value=5)


class UserResponse:
    result = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "actor"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperError(self, code):
        return "out of luck" if code == 7 else ""

    def wrapperOnceExec(self, params, reqData):
        sent = reqData.get("data")
        text = sent.data.decode() if sent else ""
        word, _, rest = text.partition(" ")
        if word == "code":
            return Response().response_err(int(rest))
        if word == "raise":
            raise RuntimeError(rest)
        if word == "key":
            return Response([ResponseData(key=rest, data=b"x")])
        if word == "kind":
            return Response([ResponseData(key="result", data=b"x", type=2)])
        if word == "none":
            return None
        if word == "env":
            text = os.environ.get(rest, "(unset)")
        if word == "spawn":
            text = subprocess.run([sys.executable, "-c", rest], capture_output=True, text=True).stdout
        if word == "note":
            current().log.info(rest)
        if word == "until":
            while not os.path.exists(rest.rstrip()):
                time.sleep(0.01)
        return Response([ResponseData(key="result", data=text)])
"""
"""Service `actor`: input `data`, parameter `size` from 1 to 9, output `result`; see `wrapperOnceExec`."""

Json = dict[str, Any]  # what a server says is looked at key by key: the edge


class Answer(NamedTuple):
    """An HTTP answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> int:
        """`header.code`."""
        code: int = json.loads(self.body)["header"]["code"]
        return code


def ask(port: int, head: str, body: bytes = b"", *, timeout: float = 10.0) -> Answer:
    """Write a request as it is, its head without the line ends, and read one answer; the request may be cut short."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as link:
        link.sendall(head.strip().replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):  # refused in the middle: the answer is there
            link.sendall(body)
        return _read(link)


def _read(link: socket.socket) -> Answer:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(link)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += _more(link)
    return Answer(int(first.split()[1]), headers, body)


def _more(link: socket.socket) -> bytes:
    data = link.recv(1 << 16)
    assert data, "the connection ended before the answer was whole"
    return data
