"""examples/03-iat: its recogniser, and the service with its client, over real WebSockets."""

import base64
import contextlib
import importlib
import importlib.util
import itertools
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from athena_serving.sdk import DataListNode, Response
from tests import audio
from tests.serving import Json, Server, eventually, free_port

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pocketsphinx") is None, reason="requirements/iat.txt is not installed"
)

ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = ROOT / "examples" / "03-iat"
SHARED: Final = ROOT.parent / "shared" / "data"
GOFORWARD: Final = SHARED / "speech" / "goforward.raw"
NOVEL: Final = SHARED / "speech" / "sense_0870.wav"
HOSTILE: Final = {"awful.wav": 103, "bad.wav": 105, "evil.wav": 105, "null.wav": 101}
"""Broken files, and the code that each must get: a rate of a million, two lying lengths, no sound."""

SAMPLE: Final = (EXAMPLE / "sample.wav").read_bytes()
SAID: Final = "what time is it"
FIRST, NEXT, LAST, ONCE = range(4)  # a frame's status; a request's is ONCE

needs_goforward = pytest.mark.skipif(not GOFORWARD.exists(), reason="../shared/data/speech/goforward.raw is not there")
needs_novel = pytest.mark.skipif(not NOVEL.exists(), reason="../shared/data/speech/sense_0870.wav is not there")


@pytest.fixture(scope="module")
def wrapper() -> Any:
    """A wrapper with one decoder, started as the server would."""
    names = ("sound", "recogniser", "wrapper")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLE)
        for name in names:
            patch.delitem(sys.modules, name, raising=False)
        made = importlib.import_module("wrapper").Wrapper()
        for name in names:  # they are other tests' names too
            del sys.modules[name]
    assert made.wrapperInit({"decoders": "1"}) == 0
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The running example."""
    with Server(tmp_path_factory.mktemp("iat"), EXAMPLE) as running:
        yield running


# ── the generator ─────────────────────────────────────────────────────────────────────────────────


def nodes(file: bytes, size: int = audio.FRAME) -> Iterator[DataListNode]:
    """A caller's pieces."""
    for piece in audio.frames(file, size):
        yield DataListNode("audio", piece, desc={"encoding": "raw"})


def listen(wrapper: Any, file: bytes, size: int = audio.FRAME) -> list[Any]:
    """All that `wrapperStream` yields for a sound."""
    return [*wrapper.wrapperStream({}, nodes(file, size))]


def final(text: str) -> dict[str, object]:
    """The last result of a session in which this was said."""
    return {"text": text, "final": True}


@needs_goforward
@pytest.mark.parametrize("size", [audio.FRAME, 777, 6_400, 1 << 20])
def test_people_are_understood(wrapper: Any, size: int) -> None:
    """The command is heard word by word, whatever the frames; each guess differs from the one before."""
    *guesses, last = listen(wrapper, GOFORWARD.read_bytes(), size)
    assert last == final("go forward ten meters")
    assert [guess["final"] for guess in guesses] == [False] * len(guesses)
    texts = [guess["text"] for guess in guesses]
    assert len(texts) > 5
    assert texts[0] == "go"
    assert all(one != other for one, other in itertools.pairwise(texts))


@needs_novel
def test_novel_is_understood_in_part(wrapper: Any) -> None:
    """Of seven seconds read from a novel, in a WAV file, a small model gets at least half of the words."""
    said = "and mister john dashwood had then leisure to consider how much there might be prudently in his power"
    heard = listen(wrapper, NOVEL.read_bytes())[-1]["text"].split()
    assert len({*said.split()} & {*heard}) >= 9


def test_sample_is_understood(wrapper: Any) -> None:
    """The example's own WAV file is read exactly."""
    assert listen(wrapper, SAMPLE)[-1] == final(SAID)


def test_synthetic_speech_is_understood(wrapper: Any) -> None:
    """What espeak-ng says now, here, is read as well."""
    assert listen(wrapper, audio.speech("please stop"))[-1] == final("please stop")


def test_silence_has_no_words(wrapper: Any) -> None:
    """Two seconds of nothing, and of next to nothing, are the empty text, once."""
    assert listen(wrapper, audio.silence(2.0)) == [final("")]
    assert listen(wrapper, audio.in_room(audio.silence(2.0))) == [final("")]


def test_one_speaker_leaves_no_trace_for_the_next(wrapper: Any) -> None:
    """After somebody else the same decoder gives the same guesses for the same sound."""
    alone = listen(wrapper, SAMPLE)
    listen(wrapper, audio.speech("stop the music"))
    assert listen(wrapper, SAMPLE) == alone
    assert len(wrapper.decoders._idle) == 1


def test_two_speakers_at_once_do_not_mix(wrapper: Any) -> None:
    """Two sessions, frame by frame in turns, give what each gives alone; the second had to load a decoder."""
    files = [SAMPLE, audio.speech("turn left and stop")]
    alone = [listen(wrapper, file) for file in files]
    together: list[list[Any]] = [[], []]
    running = [(together[number], wrapper.wrapperStream({}, nodes(file))) for number, file in enumerate(files)]
    while running:
        running = [(got, stream) for got, stream in running if not is_done(got, stream)]
    assert together == alone
    assert len(wrapper.decoders._idle) == 2


def is_done(got: list[Any], stream: Iterator[Any]) -> bool:
    """Take one result more, if there is one."""
    result = next(stream, None)
    if result is not None:
        got.append(result)
    return result is None


def test_closed_session_gives_its_decoder_back(wrapper: Any) -> None:
    """A generator that is closed in the middle leaves a decoder as good as new."""
    idle = len(wrapper.decoders._idle)
    stream = wrapper.wrapperStream({}, nodes(SAMPLE))
    assert next(stream)["final"] is False
    assert len(wrapper.decoders._idle) == idle - 1
    stream.close()
    assert len(wrapper.decoders._idle) == idle
    assert listen(wrapper, SAMPLE)[-1] == final(SAID)


@pytest.mark.parametrize(("name", "code"), HOSTILE.items(), ids=HOSTILE.keys())
def test_broken_file_is_refused_in_words(wrapper: Any, name: str, code: int) -> None:
    """A broken WAV file is one answer, an error code that `wrapperError` has words for; its decoder is free again."""
    idle = len(wrapper.decoders._idle)
    for size in (7, 1 << 20):
        (answer,) = listen(wrapper, hostile(name), size)
        assert isinstance(answer, Response)
        assert answer.error_code == code
        assert "16,000" in wrapper.wrapperError(code)
    assert len(wrapper.decoders._idle) == idle


def hostile(name: str) -> bytes:
    """A broken file; skips the test if it is not there."""
    path = SHARED / "hostile" / name
    if not path.exists():
        pytest.skip(f"../shared/data/hostile/{name} is not there")
    return path.read_bytes()


# ── the service ───────────────────────────────────────────────────────────────────────────────────


def frame(data: bytes, status: int) -> Json:
    """One frame of a session, or a whole request."""
    block = {"audio": base64.b64encode(data).decode(), "encoding": "raw", "status": status}
    return {"header": {"app_id": "123456", "status": status}, "payload": {"audio": block}}


def dial(server: Server) -> ClientConnection:
    """A WebSocket to the service."""
    return connect(f"ws://127.0.0.1:{server.port}/v1/private/iat", proxy=None, open_timeout=20, close_timeout=5)


def send(socket: ClientConnection, pieces: Iterable[bytes], *, first: int = FIRST, last: int = LAST) -> None:
    """Send frames: the first and the last with these statuses, NEXT between them. A server may have enough earlier."""
    *before, end = pieces
    with contextlib.suppress(ConnectionClosed):
        for number, piece in enumerate(before):
            socket.send(json.dumps(frame(piece, NEXT if number else first)))
        socket.send(json.dumps(frame(end, last)))


def receive(socket: ClientConnection) -> Json:
    """The next frame."""
    answer: Json = json.loads(socket.recv(timeout=20))
    return answer


def is_over(answer: Json) -> bool:
    """Is it the last step, or an error?"""
    return bool(answer["header"]["code"] != 0 or answer["header"].get("status") == LAST)


def results(answers: Iterable[Json]) -> list[Any]:
    """What was recognised; the first answer and the last have no data."""
    texts = [answer.get("payload", {}).get("result", {}).get("text") for answer in answers]
    return [text for text in texts if isinstance(text, dict)]


def rest(socket: ClientConnection) -> list[Json]:
    """All answers that are still to come."""
    answers = [receive(socket)]
    while not is_over(answers[-1]):
        answers.append(receive(socket))
    return answers


def session(server: Server, file: bytes, size: int = audio.FRAME) -> list[Json]:
    """All that is answered to a sound over a WebSocket."""
    with dial(server) as socket:
        send(socket, [*audio.frames(file, size)])
        return rest(socket)


def test_sample_is_heard_in_frames(server: Server) -> None:
    """An acknowledgement, numbered results as JSON, the final text last but the end; all under one sid."""
    first, *others = session(server, SAMPLE)
    assert (first["header"]["code"], first["header"]["status"]) == (0, FIRST)
    assert "payload" not in first
    assert others[-1]["header"]["status"] == LAST
    assert {answer["header"]["sid"] for answer in others} == {first["header"]["sid"]}
    heard = results(others)
    assert heard[-1] == final(SAID)
    assert [result["final"] for result in heard[:-1]] == [False] * (len(heard) - 1)
    assert [answer["payload"]["result"]["seq"] for answer in others if results([answer])] == [*range(1, len(heard) + 1)]


@needs_goforward
def test_text_comes_before_the_sound_has_ended(server: Server) -> None:
    """The first words are there while the caller still holds the last frame back; then the text is exact."""
    *frames, last = audio.frames(GOFORWARD.read_bytes())
    with dial(server) as socket:
        send(socket, frames, last=NEXT)
        answers = [receive(socket)]
        while not results(answers):
            answers.append(receive(socket))
        assert results(answers)[0]["text"].startswith("go")
        socket.send(json.dumps(frame(last, LAST)))
        answers += rest(socket)
    assert results(answers)[-1] == final("go forward ten meters")


def test_one_frame_may_hold_all(server: Server) -> None:
    """A whole file in the only frame of a session."""
    assert results(session(server, SAMPLE, len(SAMPLE)))[-1] == final(SAID)


def test_last_frame_may_be_empty(server: Server) -> None:
    """A microphone that is switched off has nothing to add."""
    with dial(server) as socket:
        send(socket, [*audio.frames(SAMPLE), b""])
        assert results(rest(socket))[-1] == final(SAID)


def test_sessions_at_once_do_not_mix(server: Server) -> None:
    """Four speakers, a frame of each in turn, are each understood as if alone."""
    files = [SAMPLE, audio.speech("stop the music"), SAMPLE, audio.speech("turn left and stop")]
    frames = [[*audio.frames(file)] for file in files]
    with contextlib.ExitStack() as sockets:
        talks = [(sockets.enter_context(dial(server)), own) for own in frames]
        for turn in range(max(map(len, frames))):
            for socket, own in talks:
                if turn < len(own):
                    socket.send(json.dumps(frame(own[turn], LAST if turn == len(own) - 1 else NEXT if turn else FIRST)))
        heard = [results(rest(socket))[-1] for socket, _ in talks]
    assert heard == [final(text) for text in (SAID, "stop the music", SAID, "turn left and stop")]


@pytest.mark.parametrize(("name", "code"), HOSTILE.items(), ids=HOSTILE.keys())
@pytest.mark.parametrize("size", [40, 1 << 20], ids=["in frames", "in one"])
def test_broken_file_is_answered_with_a_code(server: Server, name: str, code: int, size: int) -> None:
    """A broken WAV file ends with 10909 and the wrapper's words; the worker is the same afterwards, and serves."""
    workers = server.workers()
    last = session(server, hostile(name), size)[-1]["header"]
    assert last["code"] == 10909
    assert last["message"].endswith(
        f": send 16-bit mono PCM of 16,000 samples a second, raw or as a WAV file;code={code}"
    )
    assert results(session(server, SAMPLE))[-1] == final(SAID)
    assert server.workers() == workers


def test_caller_who_leaves_frees_the_seat(tmp_path: Path) -> None:
    """While one speaks, the only seat is taken; when that one leaves in the middle, the next is served."""
    with Server(tmp_path, EXAMPLE, settings={"workers.seats": 1, "wrapper.decoders": "1"}) as server:
        with dial(server) as socket:
            send(socket, [*audio.frames(SAMPLE)][:-1], last=NEXT)
            answers = [receive(socket)]
            while not results(answers):
                answers.append(receive(socket))
            assert session(server, SAMPLE)[-1]["header"]["code"] == 10110
        eventually(lambda: session(server, SAMPLE)[-1]["header"]["code"] == 0, what="a free seat")
        assert results(session(server, SAMPLE))[-1] == final(SAID)
        assert [line for line in server.log() if line.get("level") == "ERROR"] == []
        assert "Exception ignored" not in server.log_text()


def test_post_gets_every_result_at_once(server: Server) -> None:
    """A plain POST of a file gets one answer: the results as a list, the final one last."""
    answer = server.post("iat", frame(SAMPLE, ONCE))
    assert answer.status_code == 200, answer.text
    assert answer.json()["payload"]["result"]["text"][-1] == final(SAID)


def test_post_may_ask_for_lines(server: Server) -> None:
    """With Accept: application/x-ndjson a POST gets the results one by one."""
    accept = {"Accept": "application/x-ndjson"}
    url = f"{server.url}/v1/private/iat"
    answer = httpx.post(url, json=frame(SAMPLE, ONCE), headers=accept, trust_env=False, timeout=60.0)
    heard = results(json.loads(line) for line in answer.text.splitlines() if line)
    assert len(heard) > 2
    assert heard[-1] == final(SAID)


# ── the client ────────────────────────────────────────────────────────────────────────────────────


def run_client(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run client.py to its end."""
    command = [sys.executable, EXAMPLE / "client.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def url_of(server: Server) -> str:
    """Where the client finds the service."""
    return f"ws://127.0.0.1:{server.port}/v1/private/iat"


@pytest.mark.parametrize("pace", [[], ["--fast"]], ids=["in real time", "fast"])
def test_client_prints_the_text_as_it_changes(server: Server, pace: list[str]) -> None:
    """Each guess is a line, the final text the last one."""
    ran = run_client("--url", url_of(server), *pace)
    assert ran.returncode == 0, ran.stderr
    *guesses, last = ran.stdout.splitlines()
    assert guesses
    assert {guess[:7] for guess in guesses} == {"  ...  "}
    assert last == f"final  {SAID}"


def test_client_shows_the_services_words(server: Server, tmp_path: Path) -> None:
    """A file of the wrong rate makes the client exit with 1 and say what the service said."""
    path = tmp_path / "telephone.wav"
    path.write_bytes(audio.wav(audio.silence(0.1), rate=8_000))
    ran = run_client(path, "--fast", "--url", url_of(server))
    assert ran.returncode == 1
    assert "10909: the sound has another sample rate than 16,000 Hz" in ran.stderr


def test_client_says_that_nobody_is_there() -> None:
    """Without a service the client fails in one line."""
    ran = run_client("--url", f"ws://127.0.0.1:{free_port()}/v1/private/iat")
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: ")
    assert len(ran.stderr.splitlines()) == 1
