"""The recorded WebSocket sessions of ASF's gateway and loader, sent again, and what we say.

`webgate/ws` (a business layer behind the gateway that echoes every frame) and `webgate/ws_nobackend` (nobody behind
it) are the public dialect: what was recorded is what we say, but for `DEVIATIONS`. `ws` and `ws_realTimeRlt_false` are
the own WebSocket of ASF's loader, which is not offered; its clients' frames are the gateway's all the same. Each row of
`ROWS` says what they heard there and what they hear here. docs/compatibility.md has all of these rows.
"""

import copy
import json
import os
import signal
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.compat import golden
from tests.compat.conftest import Serve
from tests.compat.golden import SID, Json
from tests.compat.talking import Talk, refused
from tests.serving import Server

pytestmark = golden.needs_golden


class Turn(NamedTuple):
    """What the client says, and what it hears before it says more."""

    said: str
    heard: list[Json]


class Recording(NamedTuple):
    """A connection to ASF."""

    path: str
    turns: list[Turn]
    end: tuple[int, str] | None
    """How the server closed; None if the client did. (1006, "") is a connection that broke."""
    status: int
    """HTTP status of the handshake."""


def recordings(folder: str) -> dict[str, Recording]:
    """All of a folder's, by name; none where the folder is missing."""
    return {path.stem: _read(path) for path in sorted((golden.GOLDEN / folder).glob("*.json"))}


def _read(path: Path) -> Recording:
    record = json.loads(path.read_text(encoding="utf-8"))
    url = urlsplit(record["url"])
    turns: list[Turn] = []
    end, status = None, 101
    for event in record["frames"]:
        match event["dir"]:
            case "send":
                turns.append(Turn(event["text"], []))
            case "recv" if event["json"] is not None:
                turns[-1].heard.append(event["json"])
            case "recv_close":
                end = (event["code"], event["reason"])
            case "recv_error":
                end = (1006, "")
            case "open_failed":
                status = int(event["error"].partition("Handshake status ")[2][:3])
    return Recording(f"{url.path}?{url.query}", turns, end, status)


def normal(frame: Json) -> Json:
    """A frame without its sid, which is of the right form."""
    frame = copy.deepcopy(frame)
    assert SID.match(frame["header"]["sid"].replace("@local", "@lo"))
    frame["header"]["sid"] = "SID"
    return frame


# ── the gateway ───────────────────────────────────────────────────────────────────────────────────


class Deviation(NamedTuple):
    """Where we answer otherwise than was recorded, and why: with an error, to which turns."""

    why: str
    code: int
    message: str


NOBODY: Final = Deviation(
    "nobody behind the gateway is here no worker that is ready: 10110 and not 10225, and no word of the configuration "
    "centre",
    10110,
    "service svcV2 cannot be called: ",
)
DEVIATIONS: Final[dict[str, Deviation]] = {
    "ws/wg_err": Deviation(
        "the business layer's code is the wrapper's own here: it stands in the message, after the wrapper's words",
        10909,
        "the wrapper gave up;code=10165",
    ),
    **{f"ws_nobackend/wg_{name}": NOBODY for name in ("err", "multiplex", "single_once", "three_frames")},
}
"""By folder and recording."""

MORTAL: Final = """

from pathlib import Path


class Wrapper(Wrapper):
    def wrapperInit(self, config):
        if Path("gone").exists():
            raise RuntimeError("it does not come back")
        return super().wrapperInit(config)
"""
"""After `golden.ECHO`: a wrapper whose workers do not come back once there is a file `gone` beside it."""


def echo(folder: Path) -> Path:
    """The recordings' service, whose wrapper answers calls, under the schema document that ASF had."""
    document = json.loads((golden.GOLDEN / "webgate/schema_svcV2.json").read_text())
    return golden.write_service(folder / "svcV2", document)


@pytest.fixture(scope="module")
def gateway(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server that does what the recordings' business layer did."""
    return serve([echo(tmp_path_factory.mktemp("golden"))], wrapper__prefix="echo:")


@pytest.fixture(scope="module")
def deserted(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server whose only worker has died and does not come back."""
    folder = echo(tmp_path_factory.mktemp("deserted"))
    (folder / "wrapper.py").write_text(golden.ECHO + MORTAL, encoding="utf-8")
    server = serve([folder])
    (folder / "gone").touch()
    for pid in server.workers("svcV2").values():
        os.kill(pid, signal.SIGKILL)
    server.logged("wrapperInit failed: RuntimeError: it does not come back")
    return server


def parameters() -> list[object]:
    """Every recording of the gateway."""
    return [
        pytest.param(f"{folder}/{name}", one, id=f"{folder}/{name}")
        for folder in ("ws", "ws_nobackend")
        for name, one in recordings(f"webgate/{folder}").items()
    ]


@pytest.mark.parametrize(("name", "one"), parameters())
def test_recorded_session_goes_as_recorded(request: pytest.FixtureRequest, name: str, one: Recording) -> None:
    """Every frame, sid and order of members aside, and how it ends; or as `DEVIATIONS` have it."""
    server: Server = request.getfixturevalue("deserted" if name.startswith("ws_nobackend") else "gateway")
    deviation = DEVIATIONS.get(name)
    if one.status != 101:
        assert refused(server.port, one.path).status == one.status
        return
    with Talk(server.port, one.path) as talk:
        for turn in one.turns:
            talk.send(turn.said)
            for expected in turn.heard:
                compare(talk.hear(), expected, deviation)
        if one.end is None:
            assert talk.leave() == []
            return
        code, reason = talk.end()
        assert code == one.end[0]
        assert reason.startswith(deviation.message if deviation else one.end[1])


def compare(heard: Json, expected: Json, deviation: Deviation | None) -> None:
    """A frame is as recorded, or the error that a deviation has in its place."""
    heard, expected = normal(heard), normal(expected)
    heard["header"].pop("errors", None)
    if deviation is not None:
        assert heard["header"]["message"].startswith(deviation.message)
        heard["header"]["message"] = expected["header"]["message"]
        expected["header"]["code"] = deviation.code
    assert heard == expected


def test_deviations_are_of_recordings_there_are() -> None:
    """No row of the table has outlived its recording."""
    assert DEVIATIONS.keys() <= {
        f"{folder}/{name}" for folder in ("ws", "ws_nobackend") for name in recordings(f"webgate/{folder}")
    }


# ── the loader ────────────────────────────────────────────────────────────────────────────────────


class Row(NamedTuple):
    """Sessions that share a fate. What is heard: see `shown`."""

    recordings: str
    """Folder and name, separated by blanks."""
    loader: str
    here: str
    why: str

    def line(self) -> str:
        """The row as the page has it."""
        names = ", ".join(f"`{name}`" for name in self.recordings.split())
        return f"| {names} | {self.loader} | {self.here} | {self.why} |"


ROWS: Final = (
    Row("ws/three_frames_end2", "0, 0; 1; 2", "0, 0; 1; 2", "the same; `seq` is a number"),
    Row("ws/single_begin_idle", "0, 0", "0, 0", "the same; `seq` is a number"),
    Row("ws/no_payload", "0", "0", "the same"),
    Row(
        "ws/three_frames_end3",
        "0, 0; 1; 3, cut",
        "0, 0; 1; 2",
        "the last frame's header says 2, its output says 3, and the connection stays open",
    ),
    Row("ws/single_once", "0, 3, cut", "0, 2", "the same"),
    Row("ws/create_err", "0; -", "10905, closed", "the loader kept the failure, and the wrapper's words, to itself"),
    Row("ws/no_expect", "0; -", "0, 0; 2", "what was not asked for gets its defaults; the loader was silent"),
    Row("ws/bad_base64", "10001, closed", "10163, closed", "the gateway's code and words"),
    Row("ws/bad_json", "10163, closed", "10163, closed", "the same"),
    Row("ws/wrong_path", "HTTP 404", "HTTP 404", "in JSON, with the services there are"),
    Row("ws/ping_ws", "-", "HTTP 404", "`/livez` is how to ask whether somebody is there; a ping of WebSockets works"),
    Row(
        "ws_realTimeRlt_false/three_frames_end2",
        "0; -; -",
        "0, 0; 1; 2",
        "results come when they are there; the loader lost them all",
    ),
    Row(
        "ws_realTimeRlt_false/three_frames_end2_then_poke",
        "0; -; -; 0",
        "0, 0; 1; 2; closed",
        "the same; whoever goes on after the last result is told that the session is over",
    ),
    Row("ws_realTimeRlt_false/read_timeout_15s", "0, closed", "0, 0, closed", "closed with the same words, `time out`"),
)

STREAM: Final = '''
from athena_serving.sdk import (
    ImageBodyField, Response, ResponseData, SessionCreateResponse, StringBodyField, StringParamField, WrapperBase,
)
from athena_serving.sdk.callback import callback


class UserRequest:
    text_in = StringBodyField(key="text_in", value=b"warm up")
    img_in = ImageBodyField(key="img_in")
    ctrl = StringParamField(key="ctrl", maxLength=100)


class UserResponse:
    result = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "svcName"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()
    last = {}

    def wrapperCreate(self, params, sid):
        word, _, rest = params.get("ctrl", "").partition(":")
        self.last[sid] = 3 if word == "end3" else 2
        return SessionCreateResponse(sid, int(rest) if word == "createerr" else 0)

    def wrapperWrite(self, handle, req, sid):
        """Says every text back, with its status."""
        node = req.list[0]
        said = b"echo[%d]:%b" % (node.status, node.data)
        status = self.last[sid] if node.status == 2 else node.status
        callback(Response([ResponseData(key="result", data=said, status=status)]), sid)
        return 0
'''
"""The wrapper of the loader's recordings."""
IDLE: Final = 3
"""Seconds, in the place of the recording's 15."""


@pytest.fixture(scope="module")
def loader(serve: Serve) -> Server:
    """A server of that wrapper, its schema made of its classes."""
    return serve([STREAM], stream__idle_timeout=IDLE)


LOADED: Final = {
    f"{folder}/{name}": one for folder in ("ws", "ws_realTimeRlt_false") for name, one in recordings(folder).items()
}


@pytest.mark.parametrize(("row", "name"), [(row, name) for row in ROWS for name in row.recordings.split()])
def test_session_of_a_loader_client_is_answered(loader: Server, row: Row, name: str) -> None:
    """The loader let its client hear what the row says, and so do we; results that both give are the same."""
    one = LOADED[name]
    assert shown(one) == row.loader
    if row.here.startswith("HTTP"):
        assert f"HTTP {refused(loader.port, one.path).status}" == row.here
        return
    turns, end = [], None
    with Talk(loader.port, one.path) as talk:
        for turn, expected in zip(one.turns, row.here.split("; "), strict=False):
            talk.send(turn.said)
            frames = [word for word in expected.split(", ") if word not in ("-", "closed")]
            turns.append(Turn(turn.said, [talk.hear() for _ in frames]))
        if row.here.endswith("closed"):
            end = talk.end()
        else:
            assert talk.leave() == []
    assert shown(one._replace(turns=turns, end=end)) == row.here
    theirs, ours = results(one.turns), results(turns)
    assert ours[: len(theirs)] == theirs
    if row.loader.endswith("0, closed"):
        assert end == one.end


def test_every_session_has_its_row() -> None:
    """No recording is left out, none is told of twice."""
    assert sorted(name for row in ROWS for name in row.recordings.split()) == sorted(LOADED)


def shown(one: Recording) -> str:
    """What is heard, turn by turn: of each frame the code, or where that is 0 the header's status.

    `-` is a turn without an answer, `closed` a close by the server, `cut` a connection that broke.
    """
    if one.status != 101:
        return f"HTTP {one.status}"
    turns = [[str(frame["header"]["code"] or frame["header"]["status"]) for frame in turn.heard] for turn in one.turns]
    if one.end is not None:
        turns[-1].append("cut" if one.end[0] == 1006 else "closed")
    return "; ".join(", ".join(words) or "-" for words in turns)


def results(turns: list[Turn]) -> list[Json]:
    """The outputs that were heard, their numbers as numbers."""
    blocks = [normal(frame)["payload"]["result"] for turn in turns for frame in turn.heard if "payload" in frame]
    return [{**block, "seq": int(block["seq"])} for block in blocks]
