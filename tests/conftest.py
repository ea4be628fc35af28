"""What every room's tests share."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture(scope="session", autouse=True)
def _bare_environment() -> Iterator[None]:
    """No setting from the developer's own shell reaches a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ATHENA_")]:
            patch.delenv(name)
        yield
