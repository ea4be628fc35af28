"""Sentence embedding in batches: a text goes in, 384 numbers come out; texts that mean the same get numbers alike.

    athena serve examples/05-embed

Calls that arrive while the model works are answered together by the next call of `wrapperBatchExec`.
"""

import json

from minilm import MAX_TOKENS, Array, MiniLM

from athena_serving.sdk import BooleanParamField, JsonBodyField, Response, ResponseData, StringBodyField, WrapperBase
from athena_serving.sdk.batch import BatchItem

MAX_CHARACTERS = 10_000  # 256 tokens of English are some 1,200; a book would keep the batch waiting for its tokens
MARKS = 2  # tokens of a text without words: the mark before it and the one after


class UserRequest:
    """What a caller sends: one text."""

    text = StringBodyField(key="text", value="The weather is lovely today.")
    truncate = BooleanParamField(
        key="truncate",
        default=True,
        description=f"read the first {MAX_TOKENS} tokens of a longer text; false: refuse it",
    )


class UserResponse:
    """What a caller gets: the vector, of length 1, and how many tokens the text has and how many of them were read."""

    embedding = JsonBodyField(key="embedding")
    tokens = JsonBodyField(key="tokens")


class BadText(ValueError):
    """A text that cannot be embedded; the caller sees the words."""


class Wrapper(WrapperBase):
    """The service: what the server calls, in the order it calls it."""

    serviceId = "embed"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config: dict[str, str]) -> int:
        """Load the model, once per worker."""
        # The server shares the cores out among its workers by OMP_NUM_THREADS. numpy's OpenBLAS reads it by itself, and
        # the tokenizer, which would not, has threads of its own only for many texts in one call.
        self.model = MiniLM.load()
        return 0

    def wrapperBatchExec(self, batch: list[BatchItem]) -> list[Response | BadText]:
        """Answer some texts at once; a bad one costs the others nothing."""
        texts = [self.read(item) for item in batch]
        good = [text for text in texts if not isinstance(text, BadText)]
        vectors = iter(self.model.encode(good) if good else ())
        return [text if isinstance(text, BadText) else answer(text, next(vectors)) for text in texts]

    def read(self, item: BatchItem) -> list[int] | BadText:
        """The tokens of an item's text, or what is wrong with it."""
        sent = item.data.get("text")
        try:
            text = bytes(sent.data if sent else b"").decode()
        except UnicodeDecodeError as error:
            return BadText(f"the text is not UTF-8 at byte {error.start}: send text, base64 of its UTF-8")
        if len(text) > MAX_CHARACTERS:
            return BadText(f"the text has {len(text)} characters, the most is {MAX_CHARACTERS}: send it in parts")
        tokens = self.model.tokens(text)
        if len(tokens) <= MARKS:
            return BadText("the text has no words: send at least one")
        if len(tokens) > MAX_TOKENS and item.params.get("truncate") == "false":
            return BadText(
                f"the text has {len(tokens)} tokens, the model reads {MAX_TOKENS}: send it in parts, or with truncate"
            )
        return tokens


def answer(tokens: list[int], vector: Array) -> Response:
    """The numbers with 7 decimals: half the bytes of float32 in full, and still finer than the model."""
    numbers = vector.astype(float).round(7).tolist()
    counts = {"sent": len(tokens), "read": min(len(tokens), MAX_TOKENS)}
    return Response([ResponseData("embedding", json.dumps(numbers)), ResponseData("tokens", json.dumps(counts))])
