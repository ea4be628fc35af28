"""Text to speech, streamed: text goes in, sound comes out while the rest is still being made.

    athena serve examples/04-tts

Callers send all their text at once, or sentence by sentence, as it is written: each is spoken as it comes.
"""

import re
from collections.abc import Iterable, Iterator

import espeak

from athena_serving.sdk import (
    AudioBodyField,
    Context,
    DataListNode,
    IntegerParamField,
    Response,
    StringBodyField,
    StringParamField,
    WrapperBase,
)

VOICES = {"en": "en", "en-us": "en-us", "zh": "cmn", **{name: name for name in ("de", "es", "fr", "it", "pt", "ru")}}
"""What callers say to espeak's name for it."""
SPEAKER = "+Denis"
"""The variant of each voice. This one does not flutter: said twice, a text is the same, to the byte if no r rolls."""

NO_TEXT, NOT_TEXT = 100, 101
MESSAGES = {
    NO_TEXT: "there is nothing to say: send some text",
    NOT_TEXT: "the text cannot be decoded: send UTF-8, or name its encoding",
}

BREATH = 200
"""Characters that are spoken in one go, at most; of English, 13 s of sound, which are made in as many milliseconds."""
FULL_STOP = r"(?<!\b[A-Z])(?<!\b[A-Z]\w)(?<!\b[A-Z]\w\w)\.(?=\s+[^\sa-z])"
"""Not the one of "Dr. Owl" or "e.g. owls"; one that is missed costs nothing, since espeak finds it."""
ENDS = (
    # A sentence, the first that ends.
    rf".{{1,{BREATH}}}?(?:{FULL_STOP}|[!?…](?=\s)|[。！？])",  # noqa: RUF001  # Chinese is meant
    # All that is left; else up to the last comma that is near enough, or the last space, or anywhere.
    *(rf".{{1,{BREATH}}}{end}" for end in (r"\Z", r"(?:[,;:](?=\s)|[，；：、])", r"\s", "")),  # noqa: RUF001
)
PHRASE = re.compile("|".join(ENDS), re.DOTALL)


class UserRequest:
    """What a caller sends: text, and how to say it."""

    text = StringBodyField(key="text", value="The owl looked at the lantern.")
    voice = StringParamField(key="voice", enums=[*VOICES], value="en", description="language")
    speed = IntegerParamField(
        key="speed", minimum=espeak.SPEEDS[0], maximum=espeak.SPEEDS[-1], value=175, description="words a minute"
    )
    pitch = IntegerParamField(
        key="pitch", minimum=espeak.PITCHES[0], maximum=espeak.PITCHES[-1], value=50, description="0 low, 99 high"
    )


class UserResponse:
    """What a caller gets: raw samples, with what a player must know of them."""

    audio = AudioBodyField(key="audio", encoding="raw", format="")
    audio.attributes |= {"sample_rate": str(espeak.SAMPLE_RATE), "channels": "1", "bit_depth": "16"}


class Wrapper(WrapperBase):
    """The service: what the server calls, in the order it calls it."""

    serviceId = "tts"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config: dict[str, str]) -> int:
        """Load the library, once per worker; a voice that is not there stops the start, with its name."""
        for voice in VOICES.values():
            espeak.say(".", voice=voice + SPEAKER)
        return 0

    def wrapperStream(
        self, params: dict[str, str], pieces: Iterable[DataListNode], ctx: Context
    ) -> Iterator[bytes | Response]:
        """Speak each text as it comes."""
        voice = VOICES[params.get("voice") or "en"] + SPEAKER
        speed = int(params.get("speed") or 175)
        pitch = int(params.get("pitch") or 50)
        has_spoken = False
        for piece in pieces:
            try:
                text = piece.data.decode(piece.desc.get("encoding") or "utf8")
            except UnicodeDecodeError:
                yield Response().response_err(NOT_TEXT)
                return
            for phrase in phrases(text):
                yield from espeak.say(phrase, voice=voice, speed=speed, pitch=pitch, until=lambda: ctx.cancelled)
                has_spoken = True
        if not has_spoken:
            yield Response().response_err(NO_TEXT)

    def wrapperError(self, code: int) -> str:
        """Say in words what an error code of ours means; callers see it."""
        return MESSAGES.get(code, "unknown error")


def phrases(text: str) -> Iterator[str]:
    """`text`, cut where a speaker would breathe: the first sound must not wait for the last word."""
    for found in PHRASE.finditer(text.strip()):
        if phrase := found[0].strip():
            yield phrase
