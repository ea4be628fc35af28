"""Chat: goes on from the last words of a prompt, one word at a time, in the words of this project's own pages.

The model is no more than counts (`ngram.py`), but the way of its words to the caller is that of any language model.
"""

import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import ngram

from athena_serving.sdk import (
    DataListNode,
    IntegerParamField,
    NumberParamField,
    StringBodyField,
    WrapperBase,
    current,
)

HERE = Path(__file__).parent
SILENCE = "Say something, and I go on from your last words."
NOTHING_READ = 100  # an error code of ours: any number but 0
LONGEST = 4096  # bytes of a prompt that are kept; two words of it count


class UserRequest:
    """What a call brings. `value` is what the self-test and the warm-up send."""

    prompt = StringBodyField(key="prompt", value="A worker is")
    max_words = IntegerParamField(key="max_words", minimum=1, maximum=500, value=8, description="longest reply [60]")
    temperature = NumberParamField(key="temperature", minimum=0.1, maximum=2, value=0.7, description="daring [0.7]")
    seed = IntegerParamField(key="seed", minimum=0, maximum=2**31 - 1, value=1, description="for the same reply again")


class UserResponse:
    """What a call gets."""

    reply = StringBodyField(key="reply")


class Wrapper(WrapperBase):
    serviceId = "chat"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config: dict[str, str]) -> int:
        """Read the texts and count. Some 20 pages take a tenth of a second."""
        self.folder = HERE / config.get("texts", "../../docs")
        self.pause = float(config.get("pause", "0"))
        files = sorted(path for path in self.folder.glob("*") if path.suffix in (".md", ".txt"))
        texts = [text for file in files for text in ngram.paragraphs(file.read_text(encoding="utf-8"))]
        try:
            self.model = ngram.Model(texts)
        except ValueError:
            return NOTHING_READ
        return 0

    def wrapperStream(self, params: dict[str, str], pieces: Iterator[DataListNode]) -> Iterator[str]:
        """One conversation: what is yielded is on its way to the caller before the next word is thought of."""
        prompt = b""
        for piece in pieces:  # one, or as many as the caller cares to send
            prompt = (prompt + piece.data)[-LONGEST:]
        heard = ngram.tokens(prompt.decode(errors="replace").rstrip(" ?!.\n"))
        if not heard:
            yield SILENCE
            return
        seed, temperature = params.get("seed"), float(params.get("temperature", "0.7"))
        chance = random.Random(int(seed) if seed else None)  # noqa: S311  # words, not secrets
        words = self.model.words(self.model.known(heard), chance, temperature=temperature)
        for word in ngram.spaced(at_most(int(params.get("max_words", "60")), words)):
            if current().cancelled:
                return  # nobody listens any more
            yield word
            time.sleep(self.pause)

    def wrapperError(self, code: int) -> str:
        """What an error code of ours means."""
        if code != NOTHING_READ:
            return ""
        return f"no words in {self.folder}: texts in [wrapper] of athena.toml names a folder with .md or .txt files"


def at_most(count: int, words: Iterable[str]) -> Iterator[str]:
    """So many words, and the marks between them and after."""
    for word in words:
        count -= not ngram.is_mark(word)
        if count < 0:
            return
        yield word
