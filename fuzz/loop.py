"""The mutation loop: seeds made by the codecs themselves, damaged in every way that a peer or a memory can do it."""

import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple, Protocol, cast

from fuzz import channel, control, envelope, frames, page, schema

LONGEST: Final = 1 << 16
"""Bytes of an input; longer ones find nothing that shorter ones do not."""
_NUMBERS: Final = tuple(
    number.to_bytes(size, "little")
    for size in (1, 2, 4, 8)
    for number in {0, 1, 0x7F, 0x80, (1 << 8 * size) - 1, 1 << (8 * size - 1), (1 << (8 * size - 1)) - 1}
    if number < 1 << 8 * size
)
"""Sizes, counts and codes at the edges of their types."""


class Target(Protocol):
    """A module of this folder."""

    @property
    def SEEDS(self) -> Sequence[bytes]:
        """Good inputs to start from."""

    def one(self, data: bytes) -> None:
        """Feed one input. Whatever it raises is a finding."""


TARGETS: Final[Mapping[str, Target]] = {
    module.__name__.rpartition(".")[2]: cast("Target", module)
    for module in (frames, control, channel, page, envelope, schema)
}


class Report(NamedTuple):
    """What a run has found."""

    rounds: int
    finding: bytes | None = None
    """The input that raised what it should not, made as small as could be."""
    error: Exception | None = None


def run(target: Target, *, seed: int, seconds: float | None = None, rounds: int | None = None) -> Report:
    """Feed the seeds, then inputs made from them, until the time is up, so many are fed, or one is a finding."""
    random = Random(seed)
    until = None if seconds is None else time.monotonic() + seconds
    number = 0
    while (rounds is None or number < rounds) and (until is None or time.monotonic() < until):
        data = target.SEEDS[number] if number < len(target.SEEDS) else mutated(random, target.SEEDS)
        number += 1
        error = _error(target, data)
        if error is not None:
            return Report(number, shrunk(target, data, type(error)), error)
    return Report(number)


def shrunk(target: Target, data: bytes, kind: type[Exception]) -> bytes:
    """A smaller input with the same kind of error: whatever part can be left out is."""
    size = len(data) // 2
    while size:
        for start in range(0, len(data), size):
            smaller = data[:start] + data[start + size :]
            if type(_error(target, smaller)) is kind:
                data = smaller
        size //= 2
    return data


def _error(target: Target, data: bytes) -> Exception | None:
    try:
        target.one(data)
    except Exception as error:  # the very thing that is looked for
        return error
    return None


def mutated(random: Random, seeds: Sequence[bytes]) -> bytes:
    """One seed with one to eight changes, each of which may also bring in a part of another seed."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, 8)):
        random.choice(_CHANGES)(random, data, seeds)
    return bytes(data[:LONGEST])


Change = Callable[[Random, bytearray, Sequence[bytes]], None]


def _place(random: Random, data: bytearray) -> int:
    """Mostly anywhere; often near the start, where headers are."""
    end = len(data) if random.random() < 0.6 else min(len(data), 32)
    return random.randint(0, end)


def _flip(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[_place(random, data) % len(data)] ^= 1 << random.randrange(8)


def _set_number(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    number, place = random.choice(_NUMBERS), _place(random, data)
    data[place : place + len(number)] = number


def _set_bytes(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    place, size = _place(random, data), random.randint(1, 8)
    data[place : place + size] = random.randbytes(size)


def _insert(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    place = _place(random, data)
    data[place:place] = random.randbytes(random.randint(1, 16))


def _repeat(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    place = _place(random, data)
    part = bytes(data[place : place + random.randint(1, 64)])
    data[place:place] = part * random.choice((1, 1, 2, 20, 2000))
    del data[LONGEST:]


def _remove(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    place = _place(random, data)
    del data[place : place + random.randint(1, 32)]


def _cut(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[_place(random, data) :]


def _splice(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    other, place = random.choice(seeds), _place(random, data)
    data[place:] = other[random.randint(0, len(other)) :]


def _append(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    data += random.choice(seeds)


_CHANGES: Final[tuple[Change, ...]] = (
    _flip,
    _flip,
    _set_number,
    _set_number,
    _set_bytes,
    _insert,
    _repeat,
    _remove,
    _cut,
    _splice,
    _append,
)
