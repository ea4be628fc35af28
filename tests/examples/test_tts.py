"""examples/04-tts: its library, its generator, and the service with its client, over real sockets."""

import array
import base64
import importlib.util
import json
import subprocess
import sys
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.sync.client import ClientConnection, connect

from athena_serving.sdk import Context, DataListNode, Response
from tests.serving import Json, Server, eventually, free_port

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None, reason="requirements/tts.txt is not installed"
)

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "04-tts"
OWL: Final = "The owl looked at the lantern."
STORY: Final = f"{OWL} And the lantern, being polite, looked back! Was there more to say? No."
LONG: Final = "The owl went on and on, and nobody could stop it. " * 2000
"""100,000 characters: 100 minutes of sound, more than any buffer on its way holds."""
FIRST, NEXT, LAST, ONCE = range(4)  # a frame's status; a request's is ONCE


@pytest.fixture(scope="module")
def wrapper() -> Iterator[ModuleType]:
    """The example's wrapper.py."""
    spec = importlib.util.spec_from_file_location("tts_wrapper", EXAMPLE / "wrapper.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLE)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def espeak(wrapper: ModuleType) -> ModuleType:
    """The example's espeak.py."""
    module = wrapper.espeak
    assert isinstance(module, ModuleType)
    return module


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The running example."""
    with Server(tmp_path_factory.mktemp("tts"), EXAMPLE) as running:
        yield running


def seconds(pieces: list[bytes]) -> float:
    """How long a sound is."""
    return sum(map(len, pieces)) / 2 / 22_050


def loudest(pieces: list[bytes]) -> int:
    """The largest sample, of 32,767."""
    return max(map(abs, array.array("h", b"".join(pieces))))


def synthesised(wrapper: ModuleType, text: str, *, voice: str = "en", speed: int = 175, pitch: int = 50) -> bytes:
    """What the service should say, made here."""
    name = wrapper.VOICES[voice] + wrapper.SPEAKER
    phrases = wrapper.phrases(text)
    return b"".join(
        piece for phrase in phrases for piece in wrapper.espeak.say(phrase, voice=name, speed=speed, pitch=pitch)
    )


# ── the library ───────────────────────────────────────────────────────────────────────────────────


def test_speech_is_sound(espeak: ModuleType) -> None:
    """A sentence is a few seconds of something loud, in pieces of whole samples, none longer than said."""
    pieces = espeak.say(OWL)
    assert 1.0 < seconds(pieces) < 4.0
    assert 5_000 < loudest(pieces) < 32_768
    assert {len(piece) % 2 for piece in pieces} == {0}
    assert max(seconds([piece]) for piece in pieces) == pytest.approx(espeak.PIECE / 1000, abs=0.001)


def test_longer_text_takes_longer(espeak: ModuleType) -> None:
    """More words, more sound."""
    assert seconds(espeak.say(STORY)) > 2 * seconds(espeak.say(OWL))


def test_speed_and_pitch_are_heard(espeak: ModuleType) -> None:
    """Twice the words a minute are about half the sound; another pitch is another sound."""
    slow, fast = espeak.say(STORY, speed=120), espeak.say(STORY, speed=240)
    assert seconds(slow) / seconds(fast) == pytest.approx(2.0, abs=0.4)
    assert espeak.say(OWL, pitch=0) != espeak.say(OWL, pitch=99)


def test_what_is_said_twice_sounds_the_same(wrapper: ModuleType) -> None:
    """Nothing that was said before, in another voice or not to its end, changes a byte where no r is rolled."""
    before = synthesised(wrapper, STORY)
    synthesised(wrapper, "你好。", voice="zh", speed=300, pitch=90)
    wrapper.espeak.say(LONG[:500], until=lambda: True)
    assert synthesised(wrapper, STORY) == before


def test_every_voice_speaks_in_its_own_way(wrapper: ModuleType) -> None:
    """Each voice that callers may name is there, and no two sound alike."""
    said = {voice: synthesised(wrapper, "Radio 4", voice=voice) for voice in wrapper.VOICES}
    assert len(set(said.values())) == len(wrapper.VOICES)
    assert min(loudest([sound]) for sound in said.values()) > 1_000


def test_speech_stops_when_told(espeak: ModuleType) -> None:
    """Once `until` says yes there is no other piece; what was heard is what would have been heard."""
    whole = espeak.say(STORY, voice="en+Denis")
    answers = iter([False, False, True])
    assert espeak.say(STORY, voice="en+Denis", until=lambda: next(answers)) == whole[:3]


def test_missing_voice_is_named(espeak: ModuleType) -> None:
    """A voice that is not there is an error with its name, and the next caller is served."""
    with pytest.raises(espeak.NoVoice, match="no voice 'owlish'"):
        espeak.say(OWL, voice="owlish")
    assert espeak.say(OWL)


def test_control_characters_are_neither_ends_nor_commands(wrapper: ModuleType) -> None:
    """NUL does not cut the text short, and 0x01, by which espeak is told to speak faster, tells it nothing."""
    assert synthesised(wrapper, "one\0two") == synthesised(wrapper, "one two")
    assert synthesised(wrapper, "one \x01450S two") == synthesised(wrapper, "one  450S two")


def test_callers_on_many_threads_do_not_mix(wrapper: ModuleType) -> None:
    """Eight threads that ask at once each hear their own text in their own voice."""
    asked = [(text, voice) for text in (OWL, STORY) for voice in ("en", "en-us", "fr", "zh")]
    alone = [synthesised(wrapper, text, voice=voice) for text, voice in asked]
    with ThreadPoolExecutor(len(asked)) as pool:
        together = [pool.submit(synthesised, wrapper, text, voice=voice) for text, voice in asked]
        assert [sound.result(timeout=30) for sound in together] == alone


# ── phrases ───────────────────────────────────────────────────────────────────────────────────────


def test_a_phrase_ends_with_its_sentence(wrapper: ModuleType) -> None:
    """Sentences are phrases, also in Chinese; the full stop of an abbreviation or a number ends none."""
    assert [*wrapper.phrases("I saw it. It saw me.\n\nWe left.")] == ["I saw it.", "It saw me.", "We left."]
    assert [*wrapper.phrases("Hello there. How are you? Fine!")] == ["Hello there.", "How are you?", "Fine!"]
    assert [*wrapper.phrases("你好。天气好吗？很好")] == ["你好。", "天气好吗？", "很好"]  # noqa: RUF001  # Chinese
    assert [*wrapper.phrases("Dr. Owl paid 3.50, e.g. to me.")] == ["Dr. Owl paid 3.50, e.g. to me."]


def test_long_sentence_is_cut_at_a_comma_or_a_space(wrapper: ModuleType) -> None:
    """A sentence without an end is cut where a speaker would breathe, and a word without an end anywhere."""
    clauses = [*wrapper.phrases("here we go, " * 40)]
    assert {phrase[-1] for phrase in clauses} == {","}
    words = [*wrapper.phrases("word " * 100)]
    assert " ".join(words) == ("word " * 100).strip()
    assert [len(phrase) for phrase in wrapper.phrases("x" * 450)] == [200, 200, 50]


@given(text=st.text(alphabet=st.sampled_from("ab .,!?\n。，é"), max_size=1500))  # noqa: RUF001  # Chinese
def test_phrases_leave_nothing_out(wrapper: ModuleType, text: str) -> None:
    """Every character but spaces is in some phrase, in order, and no phrase is longer than a breath."""
    found = [*wrapper.phrases(text)]
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(0 < len(phrase) <= wrapper.BREATH for phrase in found)


# ── the generator ─────────────────────────────────────────────────────────────────────────────────


def generator(wrapper: ModuleType, pieces: Iterator[DataListNode], **params: str) -> Iterator[Any]:
    """`wrapperStream`, called as the server would."""
    context = Context("tts000@test", app="test", service="tts", expires=float("inf"))
    stream: Iterator[Any] = wrapper.Wrapper().wrapperStream(params, pieces, context)
    return stream


def texts(*data: str | bytes, encoding: str = "utf8") -> Iterator[DataListNode]:
    """A caller's pieces."""
    for one in data:
        yield DataListNode("text", one, desc={"encoding": encoding})


def test_generator_speaks_with_its_parameters(wrapper: ModuleType) -> None:
    """What it yields, joined, is the text in the voice, speed and pitch that were asked for."""
    said = b"".join(generator(wrapper, texts(STORY), voice="fr", speed="200", pitch="70"))
    assert said == synthesised(wrapper, STORY, voice="fr", speed=200, pitch=70)


def test_generator_speaks_each_text_as_it_comes(wrapper: ModuleType) -> None:
    """All of the first sentence is heard before the second is asked for; empty ones say nothing."""
    asked: list[str] = []

    def sentences() -> Iterator[DataListNode]:
        for text in (OWL, "", "Good night."):
            asked.append(text)
            yield from texts(text)

    owl, heard = synthesised(wrapper, OWL), b""
    stream = generator(wrapper, sentences())
    while len(heard) < len(owl):
        heard += next(stream)
        assert asked == [OWL]
    assert heard == owl
    assert b"".join(stream) == synthesised(wrapper, "Good night.")


def test_first_sound_does_not_wait_for_the_last_word(wrapper: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 minutes of text one sentence is made, and no more until somebody takes it."""
    made: list[str] = []
    say = wrapper.espeak.say

    def counted(text: str, **how: Any) -> list[bytes]:
        made.append(text)
        sound: list[bytes] = say(text, **how)
        return sound

    monkeypatch.setattr(wrapper.espeak, "say", counted)
    stream = generator(wrapper, texts(LONG))
    assert next(stream)
    assert made == ["The owl went on and on, and nobody could stop it."]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param([], "there is nothing to say", id="no text"),
        pytest.param(["", " \n"], "there is nothing to say", id="blank texts"),
        pytest.param([b"\xff\xfe"], "cannot be decoded", id="not UTF-8"),
    ],
)
def test_generator_refuses_in_words(wrapper: ModuleType, data: list[str | bytes], words: str) -> None:
    """What cannot be spoken ends with an error code that `wrapperError` has words for."""
    (answer,) = generator(wrapper, texts(*data))
    assert isinstance(answer, Response)
    assert words in wrapper.Wrapper().wrapperError(answer.error_code)


def test_text_may_have_another_encoding(wrapper: ModuleType) -> None:
    """A caller who says gbk is understood."""
    said = b"".join(generator(wrapper, texts("你好".encode("gbk"), encoding="gbk"), voice="zh"))
    assert said == synthesised(wrapper, "你好", voice="zh")


# ── the service ───────────────────────────────────────────────────────────────────────────────────


def frame(text: str, status: int = LAST, params: Json | None = None) -> Json:
    """One frame of a session, or a whole request."""
    payload = {"text": {"text": base64.b64encode(text.encode()).decode(), "status": status}}
    message: Json = {"header": {"app_id": "123456", "status": status}, "payload": payload}
    return message | ({"parameter": {"tts": params}} if params else {})


def dial(server: Server) -> ClientConnection:
    """A WebSocket to the service."""
    return connect(f"ws://127.0.0.1:{server.port}/v1/private/tts", proxy=None, open_timeout=20, close_timeout=5)


def receive(socket: ClientConnection) -> Json:
    """The next frame."""
    answer: Json = json.loads(socket.recv(timeout=20))
    return answer


def sound_of(answer: Json) -> bytes:
    """The samples in an answer; none in its first and perhaps in its last step."""
    return base64.b64decode(answer.get("payload", {}).get("audio", {}).get("audio", ""))


def is_over(answer: Json) -> bool:
    """Is it the last step, or an error?"""
    header = answer["header"]
    return bool(header["code"] != 0 or header.get("status") == LAST)


def session(server: Server, text: str, **params: object) -> list[Json]:
    """All that is answered to one text over a WebSocket."""
    with dial(server) as socket:
        socket.send(json.dumps(frame(text, params=params)))
        answers = [receive(socket)]
        while not is_over(answers[-1]):
            answers.append(receive(socket))
    return answers


def lines(server: Server, text: str, **params: object) -> list[Json]:
    """All that is answered to one text as a POST that asks for lines of JSON."""
    accept = {"Accept": "application/x-ndjson"}
    url = f"{server.url}/v1/private/tts"
    answer = httpx.post(url, json=frame(text, ONCE, params), headers=accept, trust_env=False, timeout=60.0)
    return [json.loads(line) for line in answer.text.splitlines() if line]


def test_websocket_streams_the_sound_in_order(server: Server, wrapper: ModuleType) -> None:
    """An acknowledgement, numbered pieces that name their format, an end; joined, they are the whole sound."""
    first, *rest = session(server, STORY, voice="en", speed=200)
    assert first["header"]["status"] == FIRST
    assert [answer["header"]["code"] for answer in rest] == [0] * len(rest)
    assert rest[-1]["header"]["status"] == LAST
    pieces = [answer["payload"]["audio"] for answer in rest if sound_of(answer)]
    assert [piece["seq"] for piece in pieces] == [*range(1, len(pieces) + 1)]
    for piece in pieces:
        known = {"encoding": "raw", "sample_rate": 22_050, "channels": 1, "bit_depth": 16}
        assert known.items() <= piece.items()
    assert b"".join(map(sound_of, rest)) == synthesised(wrapper, STORY, speed=200)


def test_lines_of_json_carry_the_same_sound(server: Server, wrapper: ModuleType) -> None:
    """A POST that accepts application/x-ndjson gets many pieces, which are the same sound."""
    answers = lines(server, STORY, voice="fr")
    assert sum(bool(sound_of(answer)) for answer in answers) > 10
    assert b"".join(map(sound_of, answers)) == synthesised(wrapper, STORY, voice="fr")


def test_plain_post_gets_all_the_sound_at_once(server: Server, wrapper: ModuleType) -> None:
    """A caller who does not stream gets one answer with the pieces joined."""
    answer = server.post("tts", frame(OWL, ONCE))
    assert answer.status_code == 200, answer.text
    assert sound_of(answer.json()) == synthesised(wrapper, OWL)


def test_sentences_are_spoken_as_they_are_written(server: Server, wrapper: ModuleType) -> None:
    """All of the first frame's sound is there before the second frame is sent."""
    owl, night = synthesised(wrapper, OWL), synthesised(wrapper, "Good night.")
    heard = b""
    with dial(server) as socket:
        socket.send(json.dumps(frame(OWL, FIRST)))
        while len(heard) < len(owl):
            heard += sound_of(receive(socket))
        socket.send(json.dumps(frame("", NEXT)))
        socket.send(json.dumps(frame("Good night.", LAST)))
        answer = receive(socket)
        while not is_over(answer):
            heard += sound_of(answer)
            answer = receive(socket)
    assert answer["header"]["code"] == 0
    assert heard + sound_of(answer) == owl + night


def test_eight_callers_share_a_worker(server: Server, wrapper: ModuleType) -> None:
    """Every seat of the worker is taken at once, and each caller hears its own text."""
    said = [f"Number {number}. {STORY}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        heard = [*pool.map(lambda text: b"".join(map(sound_of, session(server, text))), said)]
    assert heard == [synthesised(wrapper, text) for text in said]


def test_caller_who_leaves_frees_the_seat(tmp_path: Path) -> None:
    """The first of 100 minutes of sound comes while the seat is taken; when its caller leaves, the next is served."""
    with Server(tmp_path, EXAMPLE, settings={"workers.seats": 1}) as server:
        with dial(server) as socket:
            socket.send(json.dumps(frame(LONG)))
            while not sound_of(receive(socket)):
                pass
            (refusal,) = lines(server, OWL)
            assert refusal["header"]["code"] == 10110
        eventually(lambda: lines(server, OWL)[-1]["header"]["code"] == 0, what="a free seat")
        assert "Exception ignored" not in server.log_text()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("🦉 🏮 👩‍👩‍👧‍👦", id="emoji"),
        pytest.param("one\0two\x01450S", id="control characters"),
        pytest.param("<speak>&amp;</speak> [[h@l'oU]]", id="markup"),
        pytest.param("ผ" * 300, id="letters of no voice here"),
        pytest.param("... ---", id="punctuation"),
    ],
)
def test_odd_text_is_answered(server: Server, wrapper: ModuleType, text: str) -> None:
    """Whatever is no word ends in order, with as much sound as there is in it."""
    answers = session(server, text)
    assert answers[-1]["header"]["code"] == 0, answers[-1]
    assert b"".join(map(sound_of, answers)) == synthesised(wrapper, text)


@pytest.mark.parametrize("text", [LONG, "x" * 100_000], ids=["sentences", "one word"])
def test_endless_text_is_answered_piece_by_piece(server: Server, wrapper: ModuleType, text: str) -> None:
    """100 KB of text sound at once as their beginning does; after its caller has left the service goes on."""
    beginning = synthesised(wrapper, text[:800])[:500_000]
    heard = b""
    with dial(server) as socket:
        socket.send(json.dumps(frame(text)))
        while len(heard) < len(beginning):
            heard += sound_of(receive(socket))
    assert heard.startswith(beginning)
    assert session(server, OWL)[-1]["header"]["code"] == 0


@pytest.mark.parametrize("text", ["", "  \n"], ids=["empty", "blank"])
def test_empty_text_is_refused_in_words(server: Server, text: str) -> None:
    """Nothing to say is an error that says so, over both transports."""
    for answers in (session(server, text), lines(server, text)):
        header = answers[-1]["header"]
        assert header["code"] == 10909
        assert header["message"] == "there is nothing to say: send some text;code=100"


@pytest.mark.parametrize(
    ("params", "place"),
    [({"voice": "owlish"}, "voice"), ({"speed": 5000}, "speed"), ({"pitch": -1}, "pitch")],
    ids=["voice", "speed", "pitch"],
)
def test_wrong_parameter_is_refused_with_its_place(server: Server, params: dict[str, object], place: str) -> None:
    """What the schema does not allow costs the library nothing and is named."""
    for answers in (session(server, OWL, **params), lines(server, OWL, **params)):
        header = answers[-1]["header"]
        assert header["code"] == 10163
        assert f"$.parameter.tts.{place}" in header["message"]


# ── the client ────────────────────────────────────────────────────────────────────────────────────


def run_client(port: int, *arguments: str, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """`client.py` as its user runs it; `text` is what it reads from stdin."""
    url = f"ws://127.0.0.1:{port}/v1/private/tts"
    command = [sys.executable, str(EXAMPLE / "client.py"), "--url", url, *arguments]
    return subprocess.run(command, input=text, capture_output=True, timeout=60, check=False)


def test_client_writes_a_wav_file(server: Server, wrapper: ModuleType, tmp_path: Path) -> None:
    """The file holds what was synthesised, at its rate; stderr says when the first sound came."""
    path = tmp_path / "owl.wav"
    client = run_client(server.port, STORY, "-o", str(path), "--voice", "fr", "--speed", "150")
    assert client.returncode == 0, client.stderr
    assert client.stderr.startswith(b"first sound after ")
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (22_050, 1, 2)
        assert file.readframes(file.getnframes()) == synthesised(wrapper, STORY, voice="fr", speed=150)


def test_client_speaks_lines_to_stdout(server: Server, wrapper: ModuleType) -> None:
    """Without a text it reads lines from stdin; `-o -` gives samples that a player can take as they come."""
    client = run_client(server.port, "-o", "-", text=f"{OWL}\n\nGood night.\n".encode())
    assert client.returncode == 0, client.stderr
    assert client.stdout == synthesised(wrapper, OWL) + synthesised(wrapper, "Good night.")


def test_client_fails_honestly(server: Server, tmp_path: Path) -> None:
    """The service's words reach stderr, and so does a service that is not there; the exit code is 1."""
    refused = run_client(server.port, "  ", "-o", str(tmp_path / "none.wav"))
    assert refused.returncode == 1
    assert b"there is nothing to say" in refused.stderr
    alone = run_client(free_port(), OWL, "-o", str(tmp_path / "none.wav"))
    assert alone.returncode == 1
    assert b"help: athena serve" in alone.stderr
