"""Servers that the tests of a module share."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.serving import Server

Serve = Callable[..., Server]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts a server of these wrappers, text or path, with these settings; it runs until the module's last test."""
    with ExitStack() as running:

        def start(sources: Sequence[str | Path], **settings: object) -> Server:
            named = {name.replace("__", "."): value for name, value in settings.items()}
            return running.enter_context(Server(tmp_path_factory.mktemp("server"), sources, settings=named))

        yield start
