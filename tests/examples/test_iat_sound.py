"""The reader of sound in examples/03-iat: what comes out of right files, and the words for wrong ones.

It is the standard library alone, so these tests need nothing that is to be installed.
"""

import contextlib
import importlib.util
import itertools
import struct
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import audio

SOUND: Final = Path(__file__).parents[2] / "examples" / "03-iat" / "sound.py"

EVEN: Final = bytes(range(200))
"""A hundred samples."""

EXTENSION: Final = struct.pack("<HHIH", 22, 16, 4, 1) + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
"""What WAVE_FORMAT_EXTENSIBLE adds to a format chunk: the sound is PCM all the same."""


@pytest.fixture(scope="module")
def sound() -> ModuleType:
    """The example's sound.py."""
    spec = importlib.util.spec_from_file_location("iat_sound", SOUND)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def extensible() -> bytes:
    """A WAV whose format chunk is of the long kind."""
    head = struct.pack("<HHIIHH", 0xFFFE, 1, 16_000, 32_000, 2, 16) + EXTENSION
    return audio.chunk(b"RIFF", b"WAVE" + audio.chunk(b"fmt ", head) + audio.chunk(b"data", EVEN))


def piped() -> bytes:
    """A WAV by a program that cannot know how long it will be."""
    return audio.wav(EVEN).replace(struct.pack("<I", len(EVEN)), struct.pack("<I", 0xFFFF_FFFF))


def read(sound: ModuleType, pieces: Iterable[bytes]) -> bytes:
    """The samples in a sound that comes in pieces."""
    reader = sound.Reader()
    samples = b"".join([reader.feed(piece) for piece in pieces])
    reader.close()
    return samples


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(EVEN, id="raw"),
        pytest.param(EVEN + b"\1", id="raw, cut in a sample"),
        pytest.param(audio.wav(EVEN), id="wav"),
        pytest.param(audio.wav(EVEN + b"\1"), id="wav, cut in a sample"),
        pytest.param(audio.wav(EVEN, extra=audio.chunk(b"LIST", b"a title, odd.")), id="wav with a title"),
        pytest.param(audio.wav(EVEN) + audio.chunk(b"LIST", b"a title"), id="wav with a title at its end"),
        pytest.param(extensible(), id="wav of the extensible kind"),
        pytest.param(piped(), id="wav from a pipe"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 7, 64, 1 << 20])
def test_samples_come_out_of_every_right_sound(sound: ModuleType, file: bytes, size: int) -> None:
    """Raw or WAV, with whatever else a WAV may hold, cut into pieces of any size: the same samples."""
    assert read(sound, audio.frames(file, size)) == EVEN


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 400), max_size=5))
def test_wav_may_be_cut_anywhere(sound: ModuleType, data: bytes, cuts: list[int]) -> None:
    """Wherever the pieces begin and end, only whole samples come out, and all of them."""
    samples = data + bytes(2 - len(data) % 2)  # at least one
    file = audio.wav(samples)
    places = [0, *sorted(cuts), len(file)]
    reader = sound.Reader()
    got = [reader.feed(file[start:end]) for start, end in itertools.pairwise(places)]
    reader.close()
    assert all(len(piece) % 2 == 0 for piece in got)
    assert b"".join(got) == samples


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        pytest.param(b"", "EMPTY", id="nothing"),
        pytest.param(audio.wav(b""), "EMPTY", id="a header and nothing"),
        pytest.param(audio.wav(EVEN, rate=44_100), "RATE", id="44.1 kHz"),
        pytest.param(audio.wav(EVEN, rate=8_000), "RATE", id="8 kHz"),
        pytest.param(audio.wav(EVEN, channels=2), "CHANNELS", id="stereo"),
        pytest.param(audio.wav(EVEN, bits=8), "FORMAT", id="8 bits"),
        pytest.param(audio.wav(EVEN, tag=3, bits=32), "FORMAT", id="floats"),
        pytest.param(audio.wav(EVEN, tag=85), "FORMAT", id="mp3 in a wav"),
        pytest.param(b"RIFF\x24\0\0\0AVI LIST", "FORMAT", id="a film"),
        pytest.param(b"ID3\x03\0\0\0\0\x0f\x76TIT2", "FORMAT", id="mp3"),
        pytest.param(b"OggS\0\x02\0\0\0\0\0\0\0\0", "FORMAT", id="ogg"),
        pytest.param(b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81", "FORMAT", id="webm"),
        pytest.param(b"\0\0\0\x1cftypM4A \0\0", "FORMAT", id="mp4"),
        pytest.param(audio.wav(EVEN)[:12], "CUT", id="only RIFF and WAVE"),
        pytest.param(audio.wav(EVEN)[:30], "CUT", id="half a header"),
        pytest.param(audio.wav(EVEN)[:-2], "CUT", id="a sample is missing"),
        pytest.param(b"RIFF\xff\0\0\0WAVE" + audio.chunk(b"data", EVEN), "BROKEN", id="no format"),
        pytest.param(b"RIFF\xff\0\0\0WAVE" + audio.chunk(b"fmt ", b"\1\0"), "BROKEN", id="a format of two bytes"),
        pytest.param(
            audio.wav(EVEN, extra=audio.chunk(b"LIST", b"", length=0xFFFF_FFFF)), "BROKEN", id="a title of 4 GiB"
        ),
        pytest.param(audio.wav(EVEN, extra=audio.chunk(b"LIST", b"", length=9_000)), "CUT", id="a title too long"),
        pytest.param(audio.silence(60.1), "LONG", id="over a minute"),
        pytest.param(audio.wav(audio.silence(60.1)), "LONG", id="a wav over a minute"),
    ],
)
def test_wrong_sound_is_refused(sound: ModuleType, file: bytes, fault: str) -> None:
    """Whatever is not 16-bit mono PCM at 16 kHz, whole and at most a minute, has its own code and words."""
    for size in (40, 1 << 20):
        with pytest.raises(sound.BadSound) as caught:
            read(sound, audio.frames(file, size))
        assert caught.value.fault is sound.Fault[fault]
        assert str(caught.value) == sound.WORDS[sound.Fault[fault]]


@given(rest=st.binary(max_size=400), size=st.integers(1, 50))
def test_no_header_breaks_the_reader(sound: ModuleType, rest: bytes, size: int) -> None:
    """After RIFF and WAVE any bytes either hold samples or are refused, and next to nothing of them is kept."""
    reader = sound.Reader()
    with contextlib.suppress(sound.BadSound):
        for piece in audio.frames(b"RIFF\x24\0\0\0WAVE" + rest, size):
            reader.feed(piece)
            assert len(reader._pending) < 64
        reader.close()


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ({"encoding": "lame"}, "FORMAT"),
        ({"encoding": "speex", "sample_rate": "16000"}, "FORMAT"),
        ({"bit_depth": "8"}, "FORMAT"),
        ({"sample_rate": "8000"}, "RATE"),
        ({"channels": "2"}, "CHANNELS"),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else "",
)
def test_what_is_said_beside_the_sound_counts(sound: ModuleType, words: dict[str, str], fault: str) -> None:
    """A caller who says that it sends something else is refused before that is taken for speech."""
    sound.check_words({"encoding": "raw", "sample_rate": "16000", "channels": "1", "bit_depth": "16", "seq": "7"})
    with pytest.raises(sound.BadSound) as caught:
        sound.check_words(words)
    assert caught.value.fault is sound.Fault[fault]


def test_every_fault_has_words(sound: ModuleType) -> None:
    """A caller never reads a bare number."""
    assert {*sound.WORDS} == {*sound.Fault}
    assert all(sound.WORDS.values())
