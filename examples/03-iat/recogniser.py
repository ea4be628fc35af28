"""English speech into text: pocketsphinx, one decoder a session, kept for the next one."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from pocketsphinx import Decoder
from sound import RATE, WIDTH


class Utterance:
    """What one speaker says, from the first sample to the last."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.is_over = False

    def hear(self, samples: bytes) -> str:
        """Listen to the next samples; the text so far, of which the last words may still change."""
        self._decoder.process_raw(samples, no_search=False, full_utt=False)
        return self._text()

    def end(self) -> str:
        """The text, now that all has been heard."""
        self.is_over = True
        self._decoder.end_utt()
        return self._text()

    def _text(self) -> str:
        guess = self._decoder.hyp()
        return guess.hypstr if guess else ""


class Decoders:
    """Loaded decoders that nobody uses at the moment. A load takes half a second and 90 MB, so they are kept."""

    def __init__(self) -> None:
        self._idle: deque[Decoder] = deque()  # its ends are safe from any thread

    def load(self, count: int) -> None:
        """Have so many ready for the sessions to come."""
        self._idle.extend(load() for _ in range(count))

    @contextmanager
    def utterance(self) -> Iterator[Utterance]:
        """A decoder for one utterance; one more is loaded if none is idle.

        A decoder that fails is not seen again: only what ended in order is kept.
        """
        decoder = self._take()
        # It forgets how loud the last speaker was, and where the noise lay; else equal sounds would not be heard alike.
        decoder.reinit_feat(decoder.config)
        decoder.start_utt()
        utterance = Utterance(decoder)
        try:
            yield utterance
        finally:
            if not utterance.is_over:
                utterance.end()
            self._idle.append(decoder)

    def _take(self) -> Decoder:
        try:
            return self._idle.pop()
        except IndexError:
            return load()


def load() -> Decoder:
    """A decoder with the English model that comes in pocketsphinx's wheel.

    It goes over the sound once. The second and third pass, which it can make at the end, keep the speaker waiting, and
    on sound that came piece by piece they can make right words wrong: "ten meters" became "ten years".
    """
    decoder = Decoder(samprate=RATE, fwdflat=False, bestpath=False, loglevel="FATAL")
    # A new decoder's first utterance comes out a little different from all that follow: let it be a moment of nothing.
    decoder.start_utt()
    decoder.process_raw(bytes(RATE // 10 * WIDTH), no_search=False, full_utt=False)
    decoder.end_utt()
    return decoder
