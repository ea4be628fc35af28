"""espeak-ng by its C API (`speak_lib.h`): text in, PCM out.

    pieces = espeak.say("Hello.", voice="en", speed=175, pitch=50)

The library is one per process: it keeps voice, speed and pitch to itself, and makes one sound at a time. So this is a
module, not a class, and one thread does all that is asked of it, in turn. It makes a second of sound in about a
millisecond: nobody waits long.

A thread of its own also because the server interrupts a call by an exception in the call's thread. Raised in a callback
from C, such a one would be printed and forgotten.
"""

import ctypes
import functools
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import espeakng_loader

SAMPLE_RATE = 22_050
"""Hertz; the sound is signed 16-bit, little-endian, one channel."""
SPEEDS = range(80, 451)
"""Words a minute."""
PITCHES = range(100)
"""0 is a low voice, 50 the usual one."""
PIECE = 200
"""Milliseconds of sound in a piece, at most."""

# Names and numbers of speak_lib.h.
SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: espeak_Synth returns when the callback has had everything
DONT_EXIT = 1 << 15  # espeakINITIALIZE_DONT_EXIT: without it, missing data ends the process
RATE, PITCH = 1, 3
UTF8, END_PAUSE = 1, 0x1000
OK = 0
ON, STOP = 0, 1  # what the callback answers

Hear = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
"""int callback(short *samples, int count, espeak_EVENT *events); samples is NULL when all is said."""

# Characters that must not reach the library: NUL ends a C string, and 0x01 begins a command, such as one to speak up.
CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f]")

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="espeak")


class EspeakError(Exception):
    """The library would not; the message says what."""


class NoVoice(EspeakError):
    """The library has no voice of that name."""


def say(
    text: str, *, voice: str = "en", speed: int = 175, pitch: int = 50, until: Callable[[], bool] = lambda: False
) -> list[bytes]:
    """`text` as sound, in pieces of at most PIECE milliseconds.

    `voice` is a name of espeak's (`de`, `cmn`, `en-us+f3`), `speed` is in SPEEDS, `pitch` in PITCHES. `until` is asked
    after every piece, on another thread: once it says yes there is no other. Any thread may call.
    Raises NoVoice, or EspeakError if the library fails.
    """
    return _thread.submit(_say, text, voice, speed, pitch, until).result()


def _say(text: str, voice: str, speed: int, pitch: int, until: Callable[[], bool]) -> list[bytes]:
    heard: list[bytes] = []

    def hear(samples: "ctypes._Pointer[ctypes.c_short]", count: int, _: int) -> int:
        if samples:
            heard.append(ctypes.string_at(samples, 2 * count))
        return STOP if until() else ON

    library = _library()
    if library.espeak_SetVoiceByName(voice.encode()) != OK:
        raise NoVoice(f"espeak-ng has no voice {voice!r}")
    library.espeak_SetParameter(RATE, speed, 0)
    library.espeak_SetParameter(PITCH, pitch, 0)
    callback = Hear(hear)  # a name, since the library does not keep it alive
    library.espeak_SetSynthCallback(callback)
    sent = CONTROLS.sub(" ", text).encode(errors="replace")
    code = library.espeak_Synth(sent, len(sent) + 1, 0, 0, 0, UTF8 | END_PAUSE, None, None)
    if code != OK:
        raise EspeakError(f"espeak_Synth failed with code {code}")
    return heard


@functools.cache
def _library() -> ctypes.CDLL:
    """The library, initialised when it is first needed. Raises EspeakError if it cannot read its data."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    number, size, text = ctypes.c_uint, ctypes.c_size_t, ctypes.c_char_p
    library.espeak_Synth.argtypes = [text, size, number, ctypes.c_int, number, number, ctypes.c_void_p, ctypes.c_void_p]
    data = espeakng_loader.get_data_path()
    rate = library.espeak_Initialize(SYNCHRONOUS, PIECE, data.encode(), DONT_EXIT)
    if rate != SAMPLE_RATE:
        raise EspeakError(f"espeak-ng cannot use its data in {data}: a rate of {rate} instead of {SAMPLE_RATE} Hz")
    return library
