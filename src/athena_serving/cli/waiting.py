"""A sign for a person at a terminal that something goes on, with the seconds it has taken; nothing elsewhere."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import Final

PATIENCE: Final = 0.5
"""Seconds before there is a sign: what is done sooner needs none, and it would only flicker."""


@contextlib.contextmanager
def sign(text: str, *, is_wanted: bool = True) -> Iterator[None]:
    """Show `text` and a clock on standard error meanwhile, from `PATIENCE` on; it leaves no trace.

    Whoever prints for programs does not want it.
    """
    if not is_wanted or not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    drawing = threading.Thread(target=_draw, args=(text, over), name="sign", daemon=True)
    drawing.start()
    try:
        yield
    finally:
        over.set()
        drawing.join()


def _draw(text: str, over: threading.Event) -> None:
    began = time.monotonic()
    if over.wait(PATIENCE):
        return
    # Not at the top: most calls are over before they need it.
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415
    from rich.spinner import Spinner  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    spinner = Spinner("dots")

    def drawn() -> Spinner:
        spinner.update(text=Text(f"{text}, {time.monotonic() - began:.0f} s", overflow="ellipsis", no_wrap=True))
        return spinner

    # Its redirections are for who prints meanwhile: nobody does.
    console = Console(stderr=True, highlight=False)
    with Live(get_renderable=drawn, console=console, transient=True, redirect_stdout=False, redirect_stderr=False):
        over.wait()
