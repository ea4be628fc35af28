"""examples/06-chat: its counting model, its generator, and the calls of its README against a running server."""

import base64
import contextlib
import importlib
import importlib.util
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.sync.client import connect

from athena_serving.sdk import Context, DataListNode
from tests import debian
from tests.serving import Json, Server, eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "06-chat"
SEED = 7
CHAIN = [f"w{number}" for number in range(600)]
"""A text in which every word follows one other: who has heard one knows the next."""
FOR_EVER = 300
"""Words of a reply that nobody waits for: with PAUSE it takes a minute."""
PAUSE = 0.2  # seconds


def imported(name: str, *, alias: str = "") -> ModuleType:
    """A module of the example; `alias` keeps it apart from others of its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLE))
        if not alias:
            return importlib.import_module(name)
        spec = importlib.util.spec_from_file_location(alias, EXAMPLE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


ngram: Any = imported("ngram")
chat: Any = imported("wrapper", alias="chat_wrapper")

# ── the model ─────────────────────────────────────────────────────────────────────────────────────

TEXTS = st.lists(st.lists(st.sampled_from("abcd.,"), min_size=1, max_size=12), min_size=1, max_size=6).filter(
    lambda texts: any(word.isalpha() for text in texts for word in text)
)


@given(TEXTS, st.lists(st.sampled_from("abcd.,x"), max_size=3))
def test_probabilities_are_positive_and_sum_to_one(texts: list[list[str]], context: list[str]) -> None:
    """After any context, seen or not, nothing is impossible and the whole is 1."""
    chances = ngram.Model(texts).distribution(context)
    assert sum(chances.values()) == pytest.approx(1.0)
    assert min(chances.values()) > 0.0


@given(TEXTS, st.sampled_from([0.1, 0.7, 2.0]), st.integers(0, 2**31 - 1))
def test_reply_ends_and_never_goes_in_circles(texts: list[list[str]], temperature: float, seed: int) -> None:
    """However small the text, the reply ends by itself; no three words in a row are said twice."""
    words = [*ngram.Model(texts).words([], random.Random(seed), temperature=temperature)]
    threes = [*zip(words, words[1:], words[2:], strict=False)]
    assert len(set(threes)) == len(threes)
    assert words
    assert not ngram.is_mark(words[0])


def test_same_seed_says_the_same() -> None:
    """A seed names a reply; other seeds name others."""
    model = ngram.Model([[*"abacadabcdbadc"]])
    replies = [[*model.words(["a"], random.Random(seed))] for seed in range(20) for _ in range(2)]
    assert replies[::2] == replies[1::2]
    assert len({tuple(reply) for reply in replies}) > 1


def test_low_temperature_keeps_to_what_is_likely() -> None:
    """Below 1 the word that mostly follows is said nearly always, above 1 others are heard."""
    model = ngram.Model([[*"abababac"]])

    def share(temperature: float) -> float:
        first = [next(model.words(["b", "a"], random.Random(n), temperature=temperature)) for n in range(200)]
        return first.count("b") / len(first)

    assert share(0.1) > 0.95 > share(2.0)


def test_unknown_words_are_backed_off_from() -> None:
    """Words never read leave what is known of those after them."""
    model = ngram.Model([CHAIN])
    assert model.distribution(["xyzzy", "w7"]) == model.distribution(["w7"])
    assert model.distribution(["w7", "xyzzy"]) == model.distribution([])


def test_spelling_follows_the_text() -> None:
    """Capitals of a prompt count only where the text has them too."""
    model = ngram.Model([["The", "owl", "sees", "SIGTERM"]])
    assert model.known(["the", "Owl", "SIGTERM", "xyzzy"]) == ["The", "owl", "SIGTERM", "xyzzy"]


def test_only_prose_is_read() -> None:
    """Of Markdown come paragraphs and items of lists; code, tables, headings and addresses do not."""
    text = (
        "# Owls at night\n\nAn owl sees [by night](night.md), 1,024 times, don't ask why.\n\n    no code\n\n"
        "```sh\nno code here either please\n```\n\n| no | table |\n\n- One item has these words.\n- Too short.\n"
    )
    assert [" ".join(words) for words in ngram.paragraphs(text)] == [
        "An owl sees by night , 1,024 times , don't ask why .",
        "One item has these words .",
    ]


def test_text_without_words_is_refused() -> None:
    """There is no model of nothing."""
    for texts in ([], [["."]]):
        with pytest.raises(ValueError, match="there is no word to learn"):
            ngram.Model(texts)


# ── the generator ─────────────────────────────────────────────────────────────────────────────────


def started(**config: str) -> Any:
    """A wrapper after wrapperInit, which says that all is well."""
    wrapper = chat.Wrapper()
    assert wrapper.wrapperInit(config) == 0
    return wrapper


def nodes(*parts: str | bytes) -> Iterator[DataListNode]:
    """A prompt in pieces, as the engine hands them over."""
    return iter([DataListNode("prompt", part) for part in parts])


def context() -> Context:
    """The call."""
    return Context("test", app="test", service="chat", expires=float("inf"))


def reply(wrapper: Any, prompt: Sequence[str | bytes], **params: str) -> list[str]:
    """What the generator yields."""
    with context():
        return [*wrapper.wrapperStream(params, nodes(*prompt))]


@pytest.fixture(scope="module")
def own() -> Any:
    """A wrapper that has read this project's pages."""
    return started()


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the text CHAIN."""
    folder = tmp_path_factory.mktemp("texts")
    (folder / "chain.txt").write_text(" ".join(CHAIN))
    return folder


def test_reply_goes_on_from_the_prompt(chain: Path) -> None:
    """A piece is a word with the space before it, or a mark; joined they are the text."""
    words = reply(started(texts=str(chain)), ["after", " W40 ?"], max_words="3", temperature="0.1")
    assert words == ["w41", " w42", " w43"]


def test_own_pages_are_enough_to_babble(own: Any) -> None:
    """Every prompt, seed and temperature has a reply of at most so many words."""
    for seed in range(10):
        words = reply(own, ["A worker is"], seed=str(seed), max_words="20", temperature=str(0.1 + seed / 5))
        assert 1 <= len(ngram.tokens("".join(words))) - sum(map(ngram.is_mark, words)) <= 20
        assert words == reply(own, ["A worker is"], seed=str(seed), max_words="20", temperature=str(0.1 + seed / 5))


@pytest.mark.parametrize("prompt", [[], [""], [" ?! "], ["🦉"]])
def test_empty_prompt_is_answered_in_words(own: Any, prompt: list[str]) -> None:
    """Who says nothing is told what to do."""
    assert "".join(reply(own, prompt)) == chat.SILENCE


@pytest.mark.parametrize("prompt", [b"\xff\xfe broken", b"a" * 100_000, "雅典娜 is".encode()[1:]])
def test_hostile_prompt_has_a_reply(own: Any, prompt: bytes) -> None:
    """What is no UTF-8, or too long, is no reason to fail."""
    assert reply(own, [prompt, prompt], max_words="2")


def test_generator_stops_when_nobody_waits(own: Any) -> None:
    """A cancelled call gets no further word."""
    pieces = own.wrapperStream({"max_words": "500", "temperature": "2", "seed": "1"}, nodes("A worker is"))
    with context() as call:
        assert next(pieces)
        call.cancel()
        assert [*pieces] == []


def test_absent_texts_are_named(tmp_path: Path) -> None:
    """Without anything to read the start fails, with the folder and the setting in the words."""
    wrapper = chat.Wrapper()
    code = wrapper.wrapperInit({"texts": str(tmp_path)})
    assert code == chat.NOTHING_READ
    assert str(tmp_path) in wrapper.wrapperError(code)
    assert "texts in [wrapper] of athena.toml" in wrapper.wrapperError(code)


# ── end to end ────────────────────────────────────────────────────────────────────────────────────

PROMPT = "What comes after w10?"
WORDS = " ".join(CHAIN[11:41])
"""The reply to it."""


@pytest.fixture(scope="module")
def server(chain: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The example, as fast as it goes, with CHAIN to read."""
    settings = {"wrapper.texts": chain, "wrapper.pause": 0}
    with Server(tmp_path_factory.mktemp("chat"), EXAMPLE, settings=settings) as running:
        yield running


def request(prompt: str = PROMPT, *, status: int = 3, **params: object) -> Json:
    """A request, whole or the first frame of a session, that wants its reply as text."""
    asked = {"max_words": 30, "temperature": 0.1, "seed": SEED, "reply": {"format": "text"}, **params}
    block = {"text": base64.b64encode(prompt.encode()).decode(), "status": status}
    return {"header": {"app_id": "test", "status": status}, "parameter": {"chat": asked}, "payload": {"prompt": block}}


@contextlib.contextmanager
def posted(server: Server, document: Json, accept: str) -> Iterator[httpx.Response]:
    """The answer to a POST, of which only the head has been read."""
    url = f"{server.url}/v1/private/chat"
    with (
        httpx.Client(trust_env=False, timeout=20.0) as client,
        client.stream("POST", url, json=document, headers={"accept": accept}) as answer,
    ):
        yield answer


def events(answer: httpx.Response) -> Iterator[tuple[int, Json]]:
    """Number and envelope of each server-sent event, as it comes; comments are passed over."""
    assert answer.status_code == 200, answer.read()
    assert answer.headers["content-type"].startswith("text/event-stream")
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if line and name:
            fields[name] = value
        elif "data" in fields:
            assert "event" not in fields, fields
            yield int(fields["id"]), json.loads(fields["data"])
            fields = {}


def piece_of(envelope: Json) -> str:
    """The text that a step brings; most often one word."""
    assert envelope["header"]["code"] == 0, envelope
    text: str = envelope.get("payload", {}).get("reply", {}).get("text", "")
    return text


def test_pieces_come_as_events(server: Server) -> None:
    """Each word is an event with the next number; the last event says that it is the last."""
    with posted(server, request(), "text/event-stream") as answer:
        numbers, envelopes = zip(*events(answer), strict=True)
    pieces = [piece for envelope in envelopes if (piece := piece_of(envelope))]
    assert "".join(pieces) == WORDS
    assert len(pieces) == 30
    assert [*numbers] == sorted(set(numbers))
    assert [envelope["header"]["status"] for envelope in envelopes[-2:]] == [1, 2]


def test_pieces_come_as_lines(server: Server) -> None:
    """The same, one JSON document a line."""
    with posted(server, request(), "application/x-ndjson") as answer:
        assert answer.status_code == 200, answer.read()
        envelopes = [json.loads(line) for line in answer.iter_lines()]
    assert "".join(map(piece_of, envelopes)) == WORDS
    assert envelopes[-1]["header"]["status"] == 2


def test_plain_post_has_the_pieces_joined(server: Server) -> None:
    """Who does not ask for a stream gets one answer with the whole text; the temperature is high, the seed the same."""
    document = request(temperature=2.0)
    with posted(server, document, "text/event-stream") as answer:
        joined = "".join(piece_of(envelope) for _, envelope in events(answer))
    whole = server.post("chat", document)
    assert whole.status_code == 200, whole.text
    assert piece_of(whole.json()) == joined
    assert " " in joined


def test_websocket_takes_a_prompt_in_frames(server: Server) -> None:
    """A session is acknowledged, hears the prompt in two frames, answers, and ends with status 2."""
    url = f"{server.url.replace('http', 'ws')}/v1/private/chat"
    last = {"header": {"app_id": "test", "status": 2}, "payload": request("r w10?", status=2)["payload"]}
    with connect(url, proxy=None, open_timeout=20) as socket:
        socket.send(json.dumps(request("What comes afte", status=0)))
        begun = json.loads(socket.recv(timeout=20))
        socket.send(json.dumps(last))
        envelopes: list[Json] = []
        while not envelopes or envelopes[-1]["header"].get("status") != 2:
            envelopes.append(json.loads(socket.recv(timeout=20)))
            assert envelopes[-1]["header"]["code"] == 0, envelopes[-1]
    assert begun["header"]["status"] == 0
    assert "".join(map(piece_of, envelopes)) == WORDS
    assert {envelope["header"]["sid"] for envelope in envelopes} == {begun["header"]["sid"]}


def test_caller_who_leaves_frees_the_seat(chain: Path, tmp_path: Path) -> None:
    """The first words are there long before the last is thought of; the next caller need not wait for that one."""
    settings = {"wrapper.texts": chain, "wrapper.pause": PAUSE, "workers.seats": 1}
    with Server(tmp_path, EXAMPLE, settings=settings) as running:
        with posted(running, request(max_words=FOR_EVER), "text/event-stream") as answer:
            pieces = (piece for _, envelope in events(answer) if (piece := piece_of(envelope)))
            assert [next(pieces), next(pieces)] == ["w11", " w12"]
        wanted = request(max_words=1)
        whole = eventually(lambda: (got := running.post("chat", wanted)).status_code == 200 and got, what="a seat")
        assert isinstance(whole, httpx.Response)
        assert piece_of(whole.json()) == "w11"


def test_empty_prompt_is_no_error(server: Server) -> None:
    """Its words arrive like any reply."""
    answer = server.post("chat", request(""))
    assert answer.status_code == 200, answer.text
    assert piece_of(answer.json()) == chat.SILENCE


@pytest.mark.parametrize("params", [{"temperature": 0}, {"max_words": 501}, {"seed": -1}])
def test_parameters_have_bounds(server: Server, params: Json) -> None:
    """What is beyond them is refused before the model hears of it."""
    answer = server.post("chat", request(**params))
    assert answer.status_code == 400, answer.text
    assert answer.json()["header"]["code"] == 10163


# ── README.md ─────────────────────────────────────────────────────────────────────────────────────


def shown(language: str) -> list[str]:
    """The code of a language in README.md."""
    text = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def ran(server: Server, *command: str) -> str:
    """What a command prints; it must end well."""
    environ = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_readme_calls_are_answered(server: Server) -> None:
    """The three calls by curl: events, lines, and one answer with the same words."""
    debian.program("curl", "curl")
    calls = [code.replace("http://127.0.0.1:1888", server.url) for code in shown("sh") if "curl" in code]
    assert len(calls) == 3
    said = [ran(server, "sh", "-c", call) for call in calls]
    streams = [re.findall(r"^(?:data: )?(\{.*\})$", text, re.MULTILINE) for text in said]
    texts = ["".join(piece_of(json.loads(line)) for line in lines) for lines in streams]
    assert texts[0] == texts[1] == texts[2] != ""
    assert [len(lines) > 1 for lines in streams] == [True, True, False]
    assert "id: " in said[0]


def test_readme_script_prints_the_reply(server: Server) -> None:
    """The WebSocket client is as short as it says, and works."""
    (script,) = shown("python")
    assert len(script.splitlines()) <= 13
    assert ran(server, sys.executable, "-c", script.replace("ws://127.0.0.1:1888", server.url.replace("http", "ws")))
