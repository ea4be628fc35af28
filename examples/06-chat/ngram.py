"""A language model of the smallest kind: it counts which word followed which, and says such words again.

    model = Model(paragraphs(text))
    model.distribution(["a", "worker"])                                        # {"is": 0.21, "that": 0.08, ...}
    "".join(spaced(model.words(["a", "worker"], random.Random(1))))            # "is ready when ..."

Absolute discounting with back-off: every count lends a little of itself to what was not seen there, and the context
that is one word shorter says how that is shared out (Ney, Essen and Kneser, 1994).
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

ORDER = 3
"""Words that are counted together: each is chosen by the two before it."""
DISCOUNT = 0.15
"""What a count lends, of one. More would be right for a large text; in a small one it makes noise."""
END = ""
"""Stands before a paragraph and after it."""

_WORD = re.compile(r"\w+(?:(?:['\u2019./+-]|(?<=\d),(?=\d))\w+)*|[.,;:?!](?![\w.,;:?!/])")
_MARKS = frozenset(".,;:?!")
_MARKUP = (
    (re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL), ""),  # fenced code
    (re.compile(r"^(?: {4}|\t|[|#><]).*$", re.MULTILINE), ""),  # indented code, tables, headings, quotes, HTML
    (re.compile(r"!?\[([^]]*)]\([^)]*\)"), r"\1"),  # links, of which the words stay
    (re.compile(r"^\s*(?:[-*]|\d+\.)\s", re.MULTILINE), "\n\n"),  # an item of a list is a paragraph
)
_SHORTEST = 6
"""Words of a paragraph; what has fewer is a scrap."""


def paragraphs(text: str) -> list[list[str]]:
    """The prose of a plain or Markdown text: of each paragraph its words and punctuation marks."""
    for pattern, instead in _MARKUP:
        text = pattern.sub(instead, text)
    found = (tokens(part) for part in re.split(r"\n\s*\n", text))
    return [words for words in found if len(words) >= _SHORTEST]


def tokens(text: str) -> list[str]:
    """Words and punctuation marks, in order; what is neither is left out."""
    return _WORD.findall(text)


def spaced(words: Iterable[str]) -> Iterator[str]:
    """The same words, each with the space that goes before it: joined they are a text."""
    for number, word in enumerate(words):
        yield word if number == 0 or is_mark(word) else f" {word}"


def is_mark(word: str) -> bool:
    """Is it a punctuation mark?"""
    return word in _MARKS


class Model:
    """Counts of words after words. It does not change any more once it is made: threads may share it.

    `texts` are paragraphs, as `paragraphs` gives them. Raises ValueError if there is no word in them.
    """

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        counts: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for text in texts:
            padded = [*[END] * (ORDER - 1), *text, END]
            for place in range(ORDER - 1, len(padded)):
                for length in range(ORDER):
                    counts[tuple(padded[place - length : place])][padded[place]] += 1
        if {END, *_MARKS} >= counts[()].keys():
            raise ValueError("there is no word to learn")
        self._counts = dict(counts)
        total = self._counts[()].total()
        self._shares = {word: count / total for word, count in self._counts[()].items()}

    @property
    def vocabulary(self) -> frozenset[str]:
        """All words and marks that it can say, and END."""
        return frozenset(self._shares)

    def distribution(self, context: Sequence[str]) -> dict[str, float]:
        """How likely each word of the vocabulary is after these; all are above 0 and their sum is 1.

        Of the context the last ORDER - 1 words count; those that were never seen together are backed off from.
        """
        chances = dict(self._shares)
        for length in range(1, min(ORDER - 1, len(context)) + 1):
            followers = self._counts.get(tuple(context[-length:]))
            if followers is None:
                break  # nor was any longer context seen
            total = followers.total()
            lent = DISCOUNT * len(followers) / total
            chances = {word: lent * chance for word, chance in chances.items()}
            for word, count in followers.items():
                chances[word] += (count - DISCOUNT) / total
        return chances

    def known(self, words: Iterable[str]) -> list[str]:
        """The words in the spelling that it has read, where it has read them at all."""
        spellings = ((word, word.lower(), word.capitalize()) for word in words)
        return [next((one for one in tried if one in self._shares), tried[0]) for tried in spellings]

    def words(self, context: Sequence[str], chance: random.Random, *, temperature: float = 1.0) -> Iterator[str]:
        """Words that go on after the context, to the end of a paragraph; the first is there, and no mark.

        `temperature`: above 0; below 1 likely words become likelier, above 1 unlikely ones do. No ORDER words in a row
        are said twice: a walk that follows counts may run in circles for ever, this one comes to an end.
        """
        recent = tuple(context)[-(ORDER - 1) :]
        said: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
        barred = {END, *_MARKS}  # something must be said
        while True:
            chances = self.distribution(recent)
            weights = [0.0 if word in barred else share ** (1 / temperature) for word, share in chances.items()]
            (word,) = chance.choices([*chances], weights)
            if word == END:
                return
            yield word
            said[recent].add(word)
            recent = (*recent, word)[-(ORDER - 1) :]
            barred = said[recent]
