"""Servers that the tests of a module share."""

from collections.abc import Iterator

import pytest

from tests.integration.actor import ACTOR
from tests.serving import Server


@pytest.fixture(scope="module")
def actor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the wrapper that does what it is told."""
    with Server(tmp_path_factory.mktemp("actor"), ACTOR) as server:
        yield server
