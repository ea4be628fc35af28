"""What a batch saves: what a sentence costs a core alone, and as its share of a batch.

OMP_NUM_THREADS=1 .venv/bin/python examples/05-embed/measure.py
"""

import time
from collections.abc import Callable
from functools import partial

from minilm import MiniLM

SIZES = (1, 4, 16)
ROUNDS = 25  # the best one counts: what else the machine does only ever adds

SHORT = "The weather is lovely today."
SENTENCE = "The owl and the lantern kept the reading room open until the last guest had gone home."
PARAGRAPH = " ".join([SENTENCE] * 4)


def best(run: Callable[[], object]) -> float:
    """Seconds that the quickest round kept cores busy."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times)


def main() -> None:
    """Print a line a text: its tokens, then its milliseconds and the ratio to its time alone, by size of the batch."""
    model = MiniLM.load()
    print("tokens " + "".join(f"{f'batch of {size}':>22}" for size in SIZES))
    for text in (SHORT, SENTENCE, PARAGRAPH):
        tokens = model.tokens(text)
        shares = [best(partial(model.encode, [tokens] * size)) / size for size in SIZES]
        columns = (f"{share * 1e3:.1f} ms ({shares[0] / share:.1f}x)" for share in shares)
        print(f"{len(tokens):<7}" + "".join(f"{column:>22}" for column in columns))


if __name__ == "__main__":
    main()
