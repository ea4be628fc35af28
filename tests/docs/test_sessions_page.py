"""docs/sessions.md: its wrappers are served, its clients and commands get what it shows, its tables are the code's."""

import base64
import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close
from websockets.sync.client import ClientConnection, connect

from athena_serving.errors import AthenaError
from athena_serving.gateway import websocket
from athena_serving.settings.catalogue import CATALOGUE
from athena_serving.supervisor.metrics import FAMILIES
from athena_serving.wire import frames
from athena_serving.wire.session import TABLE, Action, Event, State, StopReason, error_of
from tests import debian
from tests.docs.test_pages import ROOT, page, part
from tests.serving import ATHENA, Json, Server, eventually, request_of

PAGE: Final = page("sessions.md")
SID: Final = re.compile(r"ase[0-9a-f]{8}@dx[0-9a-f]{18}")
SHOWN: Final = "ase00170001@dx1a2123589ae0001182"
"""The sid of all the page's examples."""
FORMS: Final = ("shout", "later", "asf")
"""The page's three wrappers, by the names that they are served under here: generator, async generator, ASF's form."""
OWN_WORDS: Final = (StopReason.IDLE, StopReason.TOO_LONG, StopReason.STALLED, StopReason.SHUTDOWN)
OWN_WORDS_TOO: Final = (StopReason.WORKER_DIED, StopReason.CANCELLED)
BODY: Final = 8192
"""Bytes of a frame that the server takes here."""
TIME: Final = 20.0  # seconds, for anything

YIELDS: Final = """
from athena_serving.sdk import DataEnd, Response, ResponseData, StringBodyField, WrapperBase


class UserRequest:
    text = StringBodyField(key="text", value=b"nothing")


class UserResponse:
    first = StringBodyField(key="first")
    second = StringBodyField(key="second")


class Wrapper(WrapperBase):
    serviceId = "yields"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperStream(self, params, pieces, sid, ctx):
        told = next(pieces).data.decode()
        if told != "nothing":
            yield eval(told)
        if "DataEnd" in told:
            yield "more than the last"

    def wrapperError(self, code):
        return "seven" if code == 7 else ""
"""
"""Service `yields`: yields what the text says, in Python."""


def fenced(language: str, text: str = PAGE) -> list[str]:
    """The page's blocks of a language, in order; those without one, for an empty name."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for name, block in blocks if name == language]


def after(command: str) -> str:
    """The block that follows another, which is what it prints."""
    _, _, rest = PAGE.partition(f"{command}```\n")
    return fenced("", rest)[0]


def split(command: str) -> list[str]:
    """A command of a page as words; a line that ends in a backslash goes on."""
    return shlex.split(command.replace("\\\n", ""))


def run(words: list[str], *, environ: dict[str, str] | None = None) -> str:
    """What a command prints."""
    done = subprocess.run(
        words, capture_output=True, check=True, text=True, timeout=TIME, env={**os.environ, **(environ or {})}
    )
    return done.stdout


def plain(text: str) -> str:
    """The text with every sid replaced by the page's."""
    return SID.sub(SHOWN, text)


def cells(heading: str, first: str) -> list[list[str]]:
    """The rows of the table under a heading whose first column is called so."""
    table = part(PAGE, heading).partition(f"\n| {first} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip().strip("|").split(" | ")] for row in table]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the page's three wrappers, and of one that yields what it is told."""
    folder = tmp_path_factory.mktemp("sessions")
    sources = [source.replace('"shout"', f'"{name}"') for source, name in zip(fenced("python"), FORMS, strict=False)]
    settings = {"workers.seats": 2, "stream.idle_timeout": 4, "server.limits.body": BODY}
    with Server(folder, [*sources, YIELDS], settings=settings) as one:
        yield one


def address(server: Server, service: str = "shout") -> str:
    """Of a service, for WebSockets."""
    return f"ws://127.0.0.1:{server.port}/v1/private/{service}"


def first_frame(text: str = "one") -> str:
    """A first step, which is not the last."""
    document = request_of("shout", text, key="text")
    document["header"]["status"] = document["payload"]["text"]["status"] = 0
    return json.dumps(document)


def closing(link: ClientConnection) -> Close:
    """The server's close frame, whatever it sends before."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            link.recv(TIME)
    frame = link.protocol.close_rcvd
    assert frame is not None, "the connection ended without a close frame"
    return frame


def lines_of(server: Server, service: str, text: str) -> list[Json]:
    """The lines that answer one text."""
    document = request_of(service, text, key="text")
    document["parameter"][service] = {"first": {"format": "text"}, "second": {"format": "text"}}
    url, headers = f"{server.url}/v1/private/{service}", {"Accept": "application/x-ndjson"}
    answer = httpx.post(url, json=document, headers=headers, trust_env=False, timeout=TIME)
    return [json.loads(line) for line in answer.text.splitlines()]


# ── what runs ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("service", FORMS)
def test_client_of_the_page_prints_what_is_shown(server: Server, service: str, tmp_path: Path) -> None:
    """The page's client, called with the address of each of its three wrappers, prints the page's words."""
    source = fenced("python")[3]
    assert "ws://127.0.0.1:1888/v1/private/shout" in source
    script = tmp_path / "client.py"
    script.write_text(source.replace("ws://127.0.0.1:1888/v1/private/shout", address(server, service)))
    assert run([sys.executable, str(script)]) == after(source)


@pytest.mark.parametrize("service", FORMS)
def test_frames_are_as_they_are_shown(server: Server, service: str) -> None:
    """The page's frames, sent to each wrapper, are answered by the page's frames, but for the sid."""
    (shown,) = [block for block in fenced("") if "◄" in block]
    steps = [
        (mark, json.loads(body))
        for mark, body in re.findall(r"^([►◄]) (.*?)(?=^[►◄]|\Z)", shown, re.MULTILINE | re.DOTALL)
    ]
    assert {mark for mark, _ in steps} == {"►", "◄"}
    with connect(address(server, service), proxy=None) as link:
        for mark, document in steps:
            if mark == "►":
                link.send(json.dumps(document).replace('"shout"', f'"{service}"'))
            else:
                assert json.loads(plain(str(link.recv(TIME)))) == document


@pytest.mark.parametrize("service", FORMS)
@pytest.mark.parametrize("number", range(3))
def test_curl_of_the_page_prints_what_is_shown(server: Server, service: str, number: int) -> None:
    """Events, lines and the collected answer of each wrapper are the page's, letter for letter, but for the sid."""
    debian.program("curl", "curl")
    command = fenced("sh")[number]
    words = split(command.replace("http://127.0.0.1:1888", server.url).replace("shout", service))
    got = run([words[0], "--silent", "--show-error", "--noproxy", "*", *words[1:]])
    assert plain(got).rstrip("\n") == after(command).rstrip("\n")


@pytest.mark.parametrize(
    ("told", "payload"),
    [
        ("'text'", {"first": "text"}),
        ("b'bytes'", {"first": "bytes"}),
        ("{'a': [1]}", {"first": '{"a": [1]}'}),
        ("[1, 2]", {"first": "[1, 2]"}),
        ("1.5", {"first": "1.5"}),
        ("ResponseData('second', b'x')", {"second": "x"}),
        ("[ResponseData('first', b'x'), ResponseData('second', b'y')]", {"first": "x", "second": "y"}),
        ("Response([ResponseData('first', b'x'), ResponseData('second', b'y')])", {"first": "x", "second": "y"}),
    ],
)
def test_what_is_yielded_becomes_what_the_table_says(server: Server, told: str, payload: dict[str, str]) -> None:
    """One step of these outputs, and then the last step."""
    step, last = lines_of(server, "yields", told)
    assert {key: block["text"] for key, block in step["payload"].items()} == payload
    assert (step["header"]["status"], last["header"]["status"]) == (1, 2)
    assert {key: block["text"] for key, block in last["payload"].items()} == dict.fromkeys(payload, "")


def test_yielded_end_and_error_end_the_session(server: Server) -> None:
    """`DataEnd` makes a result the last; an error code is 10909 with the words of `wrapperError`; nothing is a step."""
    (last,) = lines_of(server, "yields", "ResponseData('first', b'x', status=DataEnd)")
    assert (last["header"]["status"], last["payload"]["first"]["text"]) == (2, "x")
    (error,) = lines_of(server, "yields", "Response().response_err(7)")
    assert (error["header"]["code"], error["header"]["message"]) == (10909, "seven;code=7")
    (nothing,) = lines_of(server, "yields", "nothing")
    assert (nothing["header"]["status"], nothing["payload"]) == (2, {})


def test_session_has_the_time_of_sessions(server: Server) -> None:
    """`remaining()` counts to `stream.session_timeout`; `limits.call_timeout`, which is less, does not count."""
    step, _ = lines_of(server, "yields", "str(ctx.remaining())")
    assert 120 < float(step["payload"]["first"]["text"]) <= 180


def test_sessions_are_listed_and_cancelled_as_shown(server: Server) -> None:
    """`athena sessions` prints the page's columns and this session; `athena cancel` ends it with the page's words."""
    (shown,) = [block for block in fenced("") if block.startswith("┏")]
    with connect(address(server), proxy=None) as link:
        link.send(first_frame())
        sid = json.loads(link.recv(TIME))["header"]["sid"]
        listed = run([str(ATHENA), "sessions", "--url", server.admin], environ={"COLUMNS": "120"})
        columns, line = (re.split("[┃│]", [*text.splitlines()][number]) for text, number in ((listed, 1), (listed, 3)))
        assert [one.strip() for one in columns] == [one.strip() for one in re.split("[┃│]", shown.splitlines()[1])]
        assert [one.strip() for one in line[1:5]] == [sid, "shout", "123456", "open"]
        run([str(ATHENA), "cancel", sid, "--url", server.admin])
        assert closing(link).reason == "the session was cancelled by its operator"
    eventually(lambda: server.total("athena_sessions_total", service="shout", reason="cancelled") == 1)


def test_full_service_refuses_at_once(server: Server) -> None:
    """Where both seats have sessions, a further one is refused with 429 and Retry-After, or by an error frame."""
    with connect(address(server), proxy=None) as one, connect(address(server), proxy=None) as two:
        for link in (one, two):
            link.send(first_frame())
            link.recv(TIME)
        refused = server.post("shout", request_of("shout", "three", key="text"))
        assert (refused.status_code, refused.json()["header"]["code"]) == (429, 10110)
        assert refused.headers["retry-after"] == "1"
        with connect(address(server), proxy=None) as three:
            three.send(first_frame())
            assert json.loads(three.recv(TIME))["header"]["code"] == 10110
    eventually(lambda: server.total("athena_sessions", service="shout") == 0, what="the end of both")


def test_idle_session_is_closed_without_an_error_frame(server: Server) -> None:
    """`time out` is the reason of the close, 1000, and nothing else."""
    with connect(address(server), proxy=None) as link:
        link.send(first_frame(""))
        assert "payload" not in json.loads(link.recv(TIME))
        closed = closing(link)
    assert (closed.code, closed.reason) == (1000, "time out")
    assert server.total("athena_sessions_total", service="shout", reason="idle") == 1


def test_frame_beyond_the_limit_closes_with_1009(server: Server) -> None:
    """One of more than `limits.body` bytes."""
    with connect(address(server), proxy=None) as link:
        link.send(json.dumps({"payload": {"text": {"text": base64.b64encode(bytes(BODY)).decode()}}}))
        assert closing(link).code == 1009


def test_shared_connection_has_sessions_by_cid(server: Server) -> None:
    """With `stream_mode=multiplex` answers carry the cid; that of a session that is over is answered 10200."""
    document = request_of("shout", "one", key="text")
    document["header"]["cid"] = "mine"
    with connect(f"{address(server)}?stream_mode=multiplex", proxy=None) as link:
        link.send(json.dumps(document))
        statuses = [json.loads(link.recv(TIME))["header"] for _ in range(3)]
        assert [(header["cid"], header["status"]) for header in statuses] == [("mine", 0), ("mine", 1), ("mine", 2)]
        link.send(json.dumps(document))
        again = json.loads(link.recv(TIME))["header"]
    assert (again["cid"], again["code"]) == ("mine", 10200)


def test_settings_of_the_page_are_settings(tmp_path: Path) -> None:
    """The page's athena.toml is taken as it is."""
    (tmp_path / "athena.toml").write_text(fenced("toml")[0])
    (tmp_path / "wrapper.py").write_text(fenced("python")[0])
    shown = json.loads(run([str(ATHENA), "settings", "--json", str(tmp_path / "wrapper.py")]))
    assert '"stream.session_timeout"' in json.dumps(shown)


# ── what is compared ──────────────────────────────────────────────────────────────────────────────


def test_states_are_those_of_the_table() -> None:
    """Every event in every state: what is done, and the state after it."""
    shown = cells("States", "event")
    order = [State.FRESH, State.OPEN, State.HEARD, State.OVER]
    found = {}
    for first, *rest in shown:
        event = Event[first.partition(":")[0]]
        for state, cell in zip(order, rest, strict=True):
            *actions, after_it = cell.split(", ")
            found[state, event] = (tuple(Action[action] for action in actions), State[after_it])
    assert found == {place: tuple(move) for place, move in TABLE.items()}


def reasons() -> dict[str, tuple[str, str]]:
    """The page's code and message of each reason."""
    return {reason.strip("`"): (code, words) for reason, _, code, words in cells("How a session ends", "reason")}


def test_every_reason_has_its_row() -> None:
    """Each `StopReason`, in order; code and message are those of `error_of` where the session's end has its own."""
    shown = reasons()
    assert [*shown] == [reason.value for reason in StopReason]
    for reason in (*OWN_WORDS, *OWN_WORDS_TOO):
        limit = CATALOGUE["stream.stall_timeout"].default
        assert isinstance(limit, float)
        error: AthenaError = error_of(reason, limit=limit)
        assert shown[reason.value] == (str(error.code), f"`{error.message}`")


def test_timeouts_are_those_of_the_settings() -> None:
    """Each row names a setting and its default."""
    shown = {name.strip("`"): default for name, default, _ in cells("Timeouts", "setting")}
    assert len(shown) == 7
    assert shown == {name: CATALOGUE[name].kind.show(CATALOGUE[name].default) for name in shown}
    assert {name for name in CATALOGUE if name.startswith("stream.")} <= shown.keys()


def test_numbers_of_the_page_are_the_codes() -> None:
    """Steps ahead, close codes, bytes of a reason; and every metric of the page is one."""
    assert f"may be {frames.STEPS} steps ahead" in PAGE
    assert f"Each side may send {frames.STEPS} steps" in page("frames.md")
    assert f"may hold {frames.STEPS} of them" in page("flaws.md")
    assert f"cut to {websocket.LONGEST_REASON}\n  bytes" in PAGE
    assert {str(websocket.NORMAL), str(websocket.RESTART)} < {
        code for code, _ in cells("How a session ends", "close code")
    }
    named = set(re.findall(r"`(athena_\w+)`", part(PAGE, "Watching")))
    assert named
    assert named <= FAMILIES.keys()
    sessions = {name for name in FAMILIES if name.startswith(("athena_session", "athena_stream"))}
    assert sessions <= named


def test_stream_of_the_readme_is_that_of_the_page() -> None:
    """README.md shows the page's generator, its first curl, and what that prints."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown, printed = [block for block in fenced("", text) if "yield" in block or block.startswith("id: ")]
    assert shown in fenced("python")[0]
    (sent,) = re.findall(r"^    (curl -N .*?\}')$", text, re.MULTILINE | re.DOTALL)
    *words, body = split(sent)
    *same, other = split(fenced("sh")[0])
    assert (words, json.loads(body)) == (same, json.loads(other))
    assert printed == after(fenced("sh")[0])
