"""Speech recognition while one speaks: sound comes in piece by piece, text goes out as it changes.

    athena serve examples/03-iat

The name is ASF's for such a service. 16-bit mono PCM of 16,000 samples a second, raw or as a WAV file, by WebSocket in
frames of 40 ms, or whole by POST.
"""

from collections.abc import Iterator
from pathlib import Path

from recogniser import Decoders
from sound import RATE, WIDTH, WORDS, BadSound, Reader, check_words

from athena_serving.sdk import AudioBodyField, DataListNode, JsonBodyField, Response, WrapperBase

SAMPLE = str(Path(__file__).with_name("sample.wav"))

FRAME = RATE // 25 * WIDTH  # bytes in 40 ms

Result = dict[str, str | bool]
"""`{"text": "go forward", "final": false}`"""


class UserRequest:
    """What a caller sends: sound."""

    audio = AudioBodyField(key="audio", path=SAMPLE)


class UserResponse:
    """What a caller gets, again and again: a `Result` as JSON."""

    result = JsonBodyField(key="result")


class Wrapper(WrapperBase):
    """The service: what the server calls, in the order it calls it."""

    serviceId = "iat"
    version = "v1.0"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config: dict[str, str]) -> int:
        """Load a decoder for each seat, once per worker; athena.toml says how many these are."""
        self.decoders = Decoders()
        self.decoders.load(int(config.get("decoders", "1")))
        return 0

    def wrapperStream(self, params: dict[str, str], pieces: Iterator[DataListNode]) -> Iterator[Result | Response]:
        """One session: the text whenever it changes, and once more, final, when all has been heard."""
        try:
            yield from self.listen(pieces)
        except BadSound as bad:
            yield Response().response_err(bad.fault.value)

    def listen(self, pieces: Iterator[DataListNode]) -> Iterator[Result]:
        """The session of a caller whose sound is in order; raises BadSound otherwise."""
        reader, text = Reader(), ""
        with self.decoders.utterance() as utterance:
            for piece in pieces:
                check_words(piece.desc)
                for samples in cut(reader.feed(piece.data)):
                    heard = utterance.hear(samples)
                    if heard != text:
                        text = heard
                        yield {"text": text, "final": False}
            reader.close()
            yield {"text": utterance.end(), "final": True}

    def wrapperError(self, code: int) -> str:
        """Say in words what an error code of ours means; callers see it."""
        return WORDS.get(code, "unknown error")


def cut(samples: bytes) -> Iterator[bytes]:
    """The samples in pieces of 40 ms.

    The recogniser lets no other thread run meanwhile, so a minute at once would keep the other sessions waiting, and
    the server from learning that this worker is alive.
    """
    return (samples[start : start + FRAME] for start in range(0, len(samples), FRAME))
