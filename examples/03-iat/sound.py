"""Sound as callers send it, in pieces cut anywhere, into the samples that the recogniser hears.

Raw PCM passes as it is; a WAV file is known by its first twelve bytes and loses its header. What a header says is
believed as far as it can be checked: no caller makes this keep more than one chunk's 64 bytes.

    start ─── no RIFF ──────────────────────────────► samples
      └────── RIFF....WAVE ──► chunk ◄──► skipped        ▲ │
                                 └────── "data" ─────────┘ └──► rest, which is ignored
"""

import struct
from collections.abc import Callable, Mapping
from enum import IntEnum

RATE = 16_000
"""Samples a second."""

WIDTH = 2
"""Bytes of a sample."""

LIMIT = 60
"""Seconds of sound in one session: a decoder remembers all of it, so there must be an end."""


class Fault(IntEnum):
    """Why a sound is not taken: the wrapper's error codes."""

    EMPTY = 101
    FORMAT = 102
    RATE = 103
    CHANNELS = 104
    BROKEN = 105
    CUT = 106
    LONG = 107


WANTED = "send 16-bit mono PCM of 16,000 samples a second, raw or as a WAV file"

WORDS: dict[int, str] = {
    Fault.EMPTY: f"there is no sound in it: {WANTED}",
    Fault.FORMAT: f"the sound is in a format that is not read here: {WANTED}",
    Fault.RATE: f"the sound has another sample rate than 16,000 Hz: {WANTED}",
    Fault.CHANNELS: f"the sound has more than one channel: {WANTED}",
    Fault.BROKEN: f"the header of the WAV file is broken: {WANTED}",
    Fault.CUT: "the WAV file ends before the length that its header names: send all of it",
    Fault.LONG: f"there are more than {LIMIT} seconds of sound in this session: end it earlier and begin another",
}


class BadSound(Exception):
    """A sound that this service does not take. `fault` is the code; `WORDS` has what callers are told."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(WORDS[fault])
        self.fault = fault


# MP3, Ogg, FLAC, WebM (as browsers record), WAV the other way round, WAV beyond 4 GiB: what people drop into a page.
# Raw samples begin so once in four thousand million times.
FOREIGN = {b"ID3\x03", b"ID3\x04", b"OggS", b"fLaC", b"\x1aE\xdf\xa3", b"RIFX", b"RF64"}

HEAD = 12
"""Bytes at the start that tell what it is: RIFF, a length that pipes leave open, WAVE."""

FORMATS = {16, 18, 40}
"""Lengths of a WAV's format chunk: plain, with an empty extension, with WAVE_FORMAT_EXTENSIBLE's."""

PCM, EXTENSIBLE = 0x0001, 0xFFFE
"""Format tags of a WAV; the second has the real one in the extension."""

SKIPPED_MAX = 1 << 20
"""Bytes of a chunk that is of no use here. Larger ones than 1 MiB are lies: titles and cue points are short."""

OPEN_ENDED = 0x7FFF_F000
"""Lengths from here on mean "until it ends": programs that write to a pipe cannot know. espeak-ng writes this one."""


class Reader:
    """One session's sound. `feed` what comes, `close` when it has all come; either raises `BadSound`."""

    def __init__(self) -> None:
        self._heard = 0
        """Bytes of samples so far."""
        self._pending = bytearray()
        self._left: float = 0
        """Bytes of the current chunk that have not come yet; infinite where nobody knows."""
        self._has_format = False
        self._step: Callable[[bytearray], bool] = self._start

    def feed(self, data: bytes) -> bytes:
        """The samples in these bytes and what was left of earlier ones, always whole ones; often none."""
        self._pending += data
        sound = bytearray()
        while self._step(sound):
            pass
        self._heard += len(sound)
        if self._heard > LIMIT * RATE * WIDTH:
            raise BadSound(Fault.LONG)
        return bytes(sound)

    def close(self) -> None:
        """All has come: was it a whole file with sound in it? Raw sound may end anywhere."""
        if self._step in (self._chunk, self._skipped) or 0 < self._left < float("inf"):
            raise BadSound(Fault.CUT)
        if not self._heard:
            raise BadSound(Fault.EMPTY)

    # ── steps: each takes what it can from `_pending`; True if the next one may go on ─────────────

    def _start(self, _: bytearray) -> bool:
        if len(self._pending) < HEAD:
            return False
        head = bytes(self._pending[:HEAD])
        if head[:4] in FOREIGN or head[4:8] == b"ftyp":  # the latter: MP4
            raise BadSound(Fault.FORMAT)
        if head[:4] != b"RIFF":
            self._left, self._step = float("inf"), self._samples
            return True
        if head[8:] != b"WAVE":
            raise BadSound(Fault.FORMAT)
        del self._pending[:HEAD]
        self._step = self._chunk
        return True

    def _chunk(self, _: bytearray) -> bool:
        if len(self._pending) < 8:
            return False
        name, length = struct.unpack_from("<4sI", self._pending)
        if name == b"fmt ":
            return self._format(length)
        if name == b"data" and self._has_format:
            whole = length - length % WIDTH  # half a sample at the end says nothing
            self._left, self._step = (float("inf") if length >= OPEN_ENDED else whole), self._samples
        elif name == b"data" or length > SKIPPED_MAX:
            raise BadSound(Fault.BROKEN)
        else:
            self._left, self._step = length + length % 2, self._skipped  # chunks begin at even places
        del self._pending[:8]
        return True

    def _format(self, length: int) -> bool:
        if length not in FORMATS:
            raise BadSound(Fault.BROKEN)
        if len(self._pending) < 8 + length:
            return False
        check_format(bytes(self._pending[8 : 8 + length]))
        self._has_format = True
        del self._pending[: 8 + length]
        return True

    def _skipped(self, _: bytearray) -> bool:
        self._take(len(self._pending))
        if self._left:
            return False
        self._step = self._chunk
        return True

    def _samples(self, sound: bytearray) -> bool:
        whole = len(self._pending) - len(self._pending) % WIDTH
        sound += self._take(whole)
        if self._left:
            return False
        self._step = self._rest
        return True

    def _rest(self, _: bytearray) -> bool:
        self._pending.clear()
        return False

    def _take(self, most: int) -> bytes:
        """So many bytes of `_pending` at most, and none beyond the chunk."""
        count = int(min(most, self._left))
        taken = bytes(self._pending[:count])
        del self._pending[:count]
        self._left -= count
        return taken


def check_format(chunk: bytes) -> None:
    """A WAV's format chunk, 16, 18 or 40 bytes. Raises `BadSound` unless it tells of what is read here."""
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == EXTENSIBLE and len(chunk) == max(FORMATS):
        tag = int.from_bytes(chunk[24:26], "little")
    if tag != PCM or bits != 8 * WIDTH:
        raise BadSound(Fault.FORMAT)
    if rate != RATE:
        raise BadSound(Fault.RATE)
    if channels != 1:
        raise BadSound(Fault.CHANNELS)


def check_words(desc: Mapping[str, str]) -> None:
    """What a caller says of the sound beside it. Raises `BadSound` where that is not what is read here."""
    wanted = {
        "encoding": ({"raw", "pcm", "wav"}, Fault.FORMAT),
        "bit_depth": ({str(8 * WIDTH)}, Fault.FORMAT),
        "sample_rate": ({str(RATE)}, Fault.RATE),
        "channels": ({"1"}, Fault.CHANNELS),
    }
    for name, (values, fault) in wanted.items():
        if desc.get(name) and desc[name] not in values:
            raise BadSound(fault)
