"""Speech and WAV files for tests; made here, so that a test needs no recordings.

    python -m tests.audio "what time is it" speech.wav

writes a WAV file. Sound is 16-bit mono PCM of 16,000 samples a second wherever nothing else is said.
"""

import array
import math
import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from tests import debian

RATE: Final = 16_000
"""Samples a second."""

FRAME: Final = 1_280
"""Bytes in 40 ms."""

VOICE: Final = "en-us+klatt2"
"""Of espeak-ng's voices the one that small recognisers understand best."""

SPEED: Final = 130
"""Words a minute."""

TAPS: Final = 8
"""Samples to either side that make a new one; enough for speech."""

LOUDNESS: Final = 0.3
"""Of espeak-ng's, which is louder than people are."""

NOISE: Final = 20.0
"""Mean of what a room adds to each sample: recognisers have never heard perfect silence."""

PAUSE: Final = 0.3
"""Seconds before the first word and after the last."""

SPEAK_TIMEOUT: Final = 30.0  # seconds


@cache
def speech(text: str, *, voice: str = VOICE) -> bytes:
    """A text, read by espeak-ng in a quiet room; equal texts give equal sound.

    Skips the test where espeak-ng is not there and may not be installed.
    """
    command = [debian.program("espeak-ng", "espeak-ng"), "-v", voice, "-s", str(SPEED), "--stdout", text]
    spoken = subprocess.run(command, check=True, capture_output=True, timeout=SPEAK_TIMEOUT).stdout
    # To a pipe it writes 44 bytes of header, in which only the length is no length.
    (rate,) = struct.unpack_from("<I", spoken, 24)
    return in_room(silence(PAUSE) + resampled(spoken[44:], rate) + silence(PAUSE))


def in_room(sound: bytes) -> bytes:
    """Sound as a microphone hears it: not so loud, and never without noise."""
    noise = random.Random(0)
    heard = (round(LOUDNESS * sample + noise.gauss(0, NOISE)) for sample in array.array("h", sound))
    return array.array("h", (max(-32_768, min(32_767, sample)) for sample in heard)).tobytes()


def silence(seconds: float) -> bytes:
    """Nothing to be heard."""
    return bytes(2 * round(seconds * RATE))


def frames(sound: bytes, size: int = FRAME) -> Iterator[bytes]:
    """Sound cut into frames of `size` bytes; the last may be shorter."""
    return (sound[start : start + size] for start in range(0, len(sound), size))


def wav(
    sound: bytes, *, rate: int = RATE, channels: int = 1, bits: int = 16, tag: int = 1, extra: bytes = b""
) -> bytes:
    """Sound as a WAV file, which says of it what the parameters say; `extra` are chunks before the sound's."""
    block = channels * bits // 8
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, rate * block, block, bits)
    body = b"WAVE" + head + extra + chunk(b"data", sound)
    return chunk(b"RIFF", body)


def chunk(name: bytes, data: bytes, *, length: int | None = None) -> bytes:
    """A chunk of a WAV file; `length` is what its header says, where that is not the truth."""
    return struct.pack("<4sI", name, len(data) if length is None else length) + data + bytes(len(data) % 2)


def resampled(sound: bytes, rate: int) -> bytes:
    """Sound of `rate` samples a second at RATE: each sample from its neighbours, weighed by a windowed sinc."""
    source = array.array("h", sound)
    step = rate / RATE
    made = array.array("h", bytes(2 * int(len(source) / step)))
    for place in range(len(made)):
        made[place] = round(max(-32_768, min(32_767, _sample(source, place * step, min(1.0, 1 / step)))))
    return made.tobytes()


def _sample(source: "array.array[int]", at: float, band: float) -> float:
    """The value between two samples; `band` is the part of the frequencies that the new rate can hold."""
    first, last = max(0, math.ceil(at - TAPS)), min(len(source) - 1, math.floor(at + TAPS))
    return sum(source[place] * _weight(at - place, band) for place in range(first, last + 1))


def _weight(distance: float, band: float) -> float:
    angle = math.pi * distance * band
    window = (1 + math.cos(math.pi * distance / TAPS)) / 2
    return band * window * (math.sin(angle) / angle if angle else 1.0)


if __name__ == "__main__":
    words, path = sys.argv[1:]
    Path(path).write_bytes(wav(speech(words)))
