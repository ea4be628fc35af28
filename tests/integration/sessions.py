"""A server that has the page at `/` and speaks its protocol over WebSockets, and does nothing else.

    with Sessions() as served, browser.tab(f"{served.url}/") as page:
        ...
        first, *rest = served.sessions[-1]  # the frames of the last session

Service `hear` takes sound and counts its samples in words; `speak` takes text and answers with a tone; `chat` says
again what it was told, and has other answers to `picture`, `vanish`, `fail` and `for ever`.
"""

import base64
import itertools
import json
import math
import threading
from array import array
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Final, Self

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from athena_serving.gateway.documents import Documents
from athena_serving.gateway.services import Services
from athena_serving.sdk import (
    AudioBodyField,
    ImageBodyField,
    IntegerParamField,
    JsonBodyField,
    StringBodyField,
    WrapperBase,
    document,
)
from athena_serving.sdk.fields import Field
from athena_serving.wire import openapi, schema
from tests.serving import Json

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = ROOT / "src/athena_serving/gateway/pages"
PICTURE: Final = ROOT / "examples/02-mmocr/picture.png"
KINDS: Final = {".js": "text/javascript", ".css": "text/css"}
LIMIT: Final = 1 << 20  # bytes of a frame
END: Final = 2


def _wrapper(service: str, asked: list[Field], answered: list[Field]) -> type[WrapperBase]:
    """A wrapper class that declares these fields."""
    holders = [SimpleNamespace(**{field.key: field for field in fields}) for fields in (asked, answered)]
    names = {"serviceId": service, "requestCls": holders[0], "responseCls": holders[1]}
    return type(service, (WrapperBase,), names)


SERVICES: Final = [
    _wrapper("hear", [AudioBodyField(key="audio")], [JsonBodyField(key="result")]),
    _wrapper("speak", [StringBodyField(key="text")], [AudioBodyField(key="audio")]),
    _wrapper(
        "chat",
        [StringBodyField(key="text"), IntegerParamField(key="most", minimum=1, maximum=99)],
        [StringBodyField(key="reply"), ImageBodyField(key="seen")],
    ),
]


def _openapi() -> Json:
    """The services' document, with what it says of streams, and of text that is embedded as text."""
    compiled = [schema.compile(document.build(one, body_limit=LIMIT), body_limit=LIMIT) for one in SERVICES]
    body: Json = openapi.build(compiled, title="streams", version="v1", body_limit=LIMIT)
    for name in ("hear", "speak", "chat"):
        operation = body["paths"][f"/v1/private/{name}"]["post"]
        operation["x-athena-stream"] = True
        operation["x-athena-once"] = name != "hear"
    asked = body["components"]["schemas"]["chat.request"]["properties"]["parameter"]["properties"]["chat"]
    formats = asked["properties"]["reply"]["properties"]["format"]["enum"]
    formats.extend({"text"} - {*formats})
    return body


class Sessions:
    """The page and its WebSockets, on a port of its own."""

    def __init__(self) -> None:
        self.sessions: list[list[Json]] = []
        """The frames of each session."""
        self.closed = threading.Semaphore(0)
        """Released when a client has left before the end."""
        self.is_closed = False
        """Are new sessions refused?"""
        self._documents = Documents(body_limit=0)
        self._body = json.dumps(_openapi()).encode()
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self._server = serve(self._serve, "127.0.0.1", 0, process_request=self._page, max_size=LIMIT)
        self.url = f"http://127.0.0.1:{self._server.socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="sessions")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._thread.join(timeout=10)

    def _page(self, _: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path.startswith("/v1/private/"):
            return _http(b"", status=503) if self.is_closed else None
        if path == "/healthz":
            return _http(b'{"ready": true, "reasons": [], "services": {}}', "application/json")
        if path == "/openapi.json":
            return _http(self._body, "application/json")
        found = self._documents.find(path, (), Services())
        if found is None:
            return _http(b"", status=404)
        return _http(found[2], headers={name.decode(): value.decode() for name, value in found[1]})

    def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        answer = {"hear": _hear, "speak": _speak, "chat": _chat}[connection.request.path.rpartition("/")[2]]
        frames: list[Json] = []
        self.sessions.append(frames)
        try:
            answer(connection, _received(connection, frames))
            next(iter(connection), None)  # the client closes
        except ConnectionClosed:
            self.closed.release()


def _http(body: bytes, kind: str = "", *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    said = headers if headers is not None else {"content-type": kind}
    return Response(status, HTTPStatus(status).phrase, Headers({**said, "content-length": str(len(body))}), body)


def _received(connection: ServerConnection, frames: list[Json]) -> Iterator[Json]:
    """The frames of a session as they come, up to its last."""
    for message in connection:
        frames.append(json.loads(message))
        if len(frames) == 1:
            _answer(connection, 0)
        yield frames[-1]
        if frames[-1]["header"]["status"] == END:
            return


def _answer(connection: ServerConnection, status: int, **payload: Json) -> None:
    header = {"code": 0, "message": "success", "sid": "owl", "status": status}
    connection.send(json.dumps({"header": header, **({"payload": payload} if payload else {})}))


def _words(text: str, *, final: bool) -> Json:
    return {"seq": 1, "status": 1, "format": "json", "text": {"text": text, "final": final}}


def _hear(connection: ServerConnection, frames: Iterator[Json]) -> None:
    count = 0
    for frame in frames:
        count += len(sound_of(frame)) // 2
        if frame["payload"]["audio"]["status"] != END and count >= 16_000:
            _answer(connection, 1, result=_words(f"heard {count} samples so far", final=False))
    _answer(connection, 1, result=_words(f"heard {count} samples", final=True))
    _answer(connection, 1, result=_words("and no more", final=False))
    _answer(connection, END, result={"seq": 3, "status": END, "text": ""})


def _speak(connection: ServerConnection, frames: Iterator[Json]) -> None:
    [*_, frame] = frames
    length = 11_025 * (20 if base64.b64decode(frame["payload"]["text"]["text"]) == b"long" else 1)  # half a second
    tone = array("h", (int(8000 * math.sin(at / 8)) for at in range(length))).tobytes()
    for at in range(0, len(tone), 4411):  # which also cuts samples in two
        piece = base64.b64encode(tone[at : at + 4411]).decode()
        _answer(connection, 1, audio={"encoding": "raw", "sample_rate": 22050, "audio": piece, "status": 1})
    _answer(connection, END)


def _chat(connection: ServerConnection, frames: Iterator[Json]) -> None:
    [*_, frame] = frames
    text = base64.b64decode(frame["payload"]["text"]["text"]).decode()
    if text == "picture":
        picture = base64.b64encode(PICTURE.read_bytes()).decode()
        _answer(connection, 1, seen={"encoding": "png", "image": picture})
    if text == "vanish":
        _answer(connection, 1, reply={"format": "text", "text": "so"})
        connection.close(1011, "no owl left")
        return
    if text == "fail":
        problems = [{"pointer": "/parameter/chat/most", "message": "'$.parameter.chat.most' is too many"}]
        header = {"code": 10907, "message": "<the owl sleeps>", "sid": "owl", "errors": problems}
        connection.send(json.dumps({"header": header}))
        connection.close(1000, "asleep")
        return
    for word in itertools.repeat("owl ") if text == "for ever" else text.split(" "):
        _answer(connection, 1, reply={"format": "text", "text": f"{word} "})
    _answer(connection, END)


def sound_of(frame: Json) -> bytes:
    """The samples in a frame."""
    return base64.b64decode(frame["payload"]["audio"]["audio"], validate=True)
