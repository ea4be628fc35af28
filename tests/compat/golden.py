"""What real ASF answered, recorded byte for byte: read, sent again, compared.

The recordings stand in the shared folder beside the repository (its README says how they were made), never in it: what
needs them is skipped where there are none.
"""

import base64
import http.client
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from athena_serving.errors import WorkerDied

GOLDEN: Final = Path(__file__).parents[3] / "shared" / "golden"
needs_golden: Final = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="the recordings of ASF are not there: ../shared/golden"
)

SID: Final = re.compile(r"^.{3}00[0-9a-f]{2}[0-9a-f]{4}@[a-z]{2}[0-9a-f]{11}[0-9a-f]{4}[0-9]{2}2$")
"""http-api.md, chapter 9."""

WORKER_DIED: Final = WorkerDied.code
"""Who gets this code, waits until the service is whole again."""

Json = dict[str, Any]  # what a server says is looked at key by key: the edge

ECHO: Final = '''
import json, os, time
from athena_serving.sdk import (
    BooleanParamField, ImageBodyField, IntegerParamField, NumberParamField, Response, ResponseData, StringBodyField,
    StringParamField, WrapperBase,
)


class UserRequest:
    text_in = StringBodyField(key="text_in", value=b"warm up")
    img_in = ImageBodyField(key="img_in")
    ctrl = StringParamField(key="ctrl", maxLength=100)
    p_int = IntegerParamField(key="p_int")
    p_float = NumberParamField(key="p_float")
    p_big = IntegerParamField(key="p_big", maximum=1 << 40)
    p_bool = BooleanParamField(key="p_bool")
    p_str = StringParamField(key="p_str")


class UserResponse:
    result = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "svcName"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        """`prefix` comes before what is said back, of which only the first `most` bytes are."""
        self.prefix = config.get("prefix", "").encode()
        self.most = int(config.get("most", 1 << 30))

    def wrapperError(self, code):
        return "the wrapper gave up"

    def wrapperOnceExec(self, params, reqData):
        """Does what the parameter `ctrl` says; says back what it got otherwise."""
        word, _, rest = params.get("ctrl", "").partition(":")
        if word == "sleep":
            time.sleep(float(rest))
        elif word == "err":
            return Response().response_err(int(rest))
        elif word == "raise":
            raise RuntimeError("ctrl says so")
        elif word == "none":
            return None
        elif word == "badkey":
            return Response([ResponseData(key="nosuch", data=b"x")])
        elif word == "badtype":
            return Response([ResponseData(key="result", data=b"x", type=2)])
        elif word in ("exit", "xsferr"):
            os._exit(3)
        if word == "dump":
            seen = [
                {"key": one.key, "len": one.len, "nbytes": len(one.data), "status": one.status, "type": one.type}
                for one in reqData.list
            ]
            said = json.dumps({"list": seen, "params": params}, sort_keys=True).encode()
        else:
            sent = reqData.get("text_in")
            if sent is None and (picture := reqData.get("img_in")):
                said = b"image %d bytes" % len(picture.data)
            else:
                said = self.prefix + bytes(sent.data[: self.most]) if sent else b"nothing"
        return Response([ResponseData(key="result", data=said)])
'''
"""The wrapper of the recordings, service `svcName`: in `text_in` and `img_in`, out `result`, parameter `ctrl`."""


class Recording(NamedTuple):
    """One request to ASF and its answer."""

    name: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    kind: str
    """Content type of the answer; empty if it had none."""
    said: str
    """Body of the answer; of a long one only the beginning."""
    seconds: float

    @property
    def json(self) -> Json:
        """Body of the answer as JSON."""
        document: Json = json.loads(self.said)
        return document

    @property
    def code(self) -> int | None:
        """`header.code` of the answer, None if it has none."""
        return code_of(self.said)


class Answer(NamedTuple):
    """What our server says."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def kind(self) -> str:
        """Content type."""
        return self.headers.get("content-type", "")

    @property
    def json(self) -> Json:
        """The body as JSON."""
        document: Json = json.loads(self.body)
        return document

    @property
    def code(self) -> int | None:
        """`header.code`, None if there is none."""
        return code_of(self.body)

    def data(self) -> bytes:
        """The text that is the output `result`, decoded from base64."""
        return base64.b64decode(self.json["payload"]["result"]["text"])


def base64_of(text: str) -> str:
    """A text as it travels."""
    return base64.b64encode(text.encode()).decode()


def code_of(body: str) -> int | None:
    """`header.code` of a body, None if it is not JSON or has none."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    header = document.get("header") if isinstance(document, dict) else None
    return header.get("code") if isinstance(header, dict) else None


def recordings(folder: str) -> dict[str, Recording]:
    """All of a folder's, by name; none where the folder is missing."""
    found = [_read(path) for path in sorted((GOLDEN / folder).glob("*.json"))]
    return {one.name: one for one in found}


def send(
    port: int, method: str, path: str, headers: Mapping[str, str], body: bytes = b"", *, timeout: float = 20.0
) -> Answer:
    """One request with these headers and no others but Host and Content-Length, on a connection of its own."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        link.putrequest(method, path, skip_accept_encoding=True, skip_host="Host" in headers)
        for name, value in headers.items():
            link.putheader(name, value)
        if body or method == "POST":
            link.putheader("Content-Length", str(len(body)))
        link.endheaders(body)
        answer = link.getresponse()
        said = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, said, answer.read().decode())
    finally:
        link.close()


def replay(port: int, one: Recording) -> Answer:
    """Send a recorded request as it was sent to ASF."""
    return send(port, one.method, one.path, one.headers, one.body)


def write_service(folder: Path, schema: object) -> Path:
    """A service of the echo wrapper under this schema document, in a folder; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wrapper.py").write_text(ECHO, encoding="utf-8")
    (folder / "schema.json").write_text(json.dumps(schema), encoding="utf-8")
    return folder


def _read(path: Path) -> Recording:
    record = json.loads(path.read_text(encoding="utf-8"))
    asked, answered = record["request"], record["response"]
    headers = {name.lower(): value for name, value in answered["headers"]}
    return Recording(
        name=record["name"],
        method=asked["method"],
        path=asked["path"],
        headers=asked["headers"],
        body=_body(asked),
        status=answered["status"],
        kind=headers.get("content-type", ""),
        said=answered["body"],
        seconds=record["elapsed_s"],
    )


def _body(asked: Json) -> bytes:
    """The body as it was sent. Of a long one the beginning was kept: a text of whole MiB of x, or a picture."""
    if asked.get("body") is not None:
        whole: str = asked["body"]
        return whole.encode()
    kept, length = asked.get("body_prefix") or "", asked.get("body_len") or 0
    if len(kept) >= length:
        return kept.encode()
    end = '"}}}'
    head, _, digits = kept.rpartition('"')
    missing = length - len(kept) - len(end)
    if not digits.startswith("eHh4"):  # another picture of its size does: only its length was looked at
        return f"{kept}{'A' * (missing - 2)}=={end}".encode()
    text = base64.b64encode(b"x" * ((len(digits) + missing) * 3 // 4 >> 20 << 20)).decode()
    assert len(text) == len(digits) + missing
    return f'{head}"{text}{end}'.encode()
