"""What a caller cannot do over a WebSocket, as it could in ASF: become another, send without end (http-api.md 11.1)."""

import json
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.compat.conftest import Serve
from tests.compat.golden import Json
from tests.compat.talking import Talk, frame
from tests.compat.test_gateway_cases import open_schema
from tests.serving import Server

WRAPPER: Final = Path(__file__).parent / "wrappers" / "cases" / "tells" / "wrapper.py"
PATH: Final = "/v1/private/open"
LIMIT: Final = 10_000
"""Bytes of a frame, at most."""


@pytest.fixture(scope="module")
def server(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A service whose schema takes any header and any parameters, which the wrapper tells of."""
    folder = tmp_path_factory.mktemp("open")
    (folder / "schema.json").write_text(json.dumps(open_schema("open")), encoding="utf-8")
    shutil.copy(WRAPPER, folder)
    return serve([folder], server__limits__body=LIMIT, workers__seats=4)


def told(talk: Talk) -> Json:
    """What the wrapper knows."""
    frame = talk.hear()
    assert frame["header"]["code"] == 0
    found: Json = frame["payload"]["boxes"]["text"]
    return found


def test_later_frames_cannot_become_somebody_else(server: Server) -> None:
    """App and sid are those of the first frame, whatever the headers and the parameters of the next say."""
    with Talk(server.port, PATH) as talk:
        wish = {"boxes": {"format": "json"}}
        talk.send(frame("open", 0, params=wish, data=b"x"))
        sid = talk.hear()["header"]["sid"]
        first = told(talk)
        assert (first["app"], first["sids"]) == ("123456", [sid] * 3)
        other = frame("open", 1, params={"sid": "another", "size": 7}, data=b"x")
        other["header"] |= {"app_id": "another", "appid": "another", "sid": "another", "callback_addr": "127.0.0.1:9"}
        talk.send(other)
        assert told(talk) == {**first, "params": {**first["params"], "size": "7"}}


def test_frame_beyond_the_limit_closes_the_connection(server: Server) -> None:
    """1009, the code for it, where ASF read on; and the session is over."""
    with Talk(server.port, PATH) as talk:
        talk.send(frame("open", 0, params={}, data=b"x"))
        assert talk.hear()["header"]["status"] == 0
        assert talk.hear()["header"]["status"] == 0
        talk.send(frame("open", 1, data=bytes(LIMIT)))
        assert talk.end()[0] == 1009
