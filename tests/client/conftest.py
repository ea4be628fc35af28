"""Both clients, for tests that hold for one as for the other."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from athena_serving.client import AsyncClient, Client

Use = Callable[[Any], Any]
"""Takes a client; gives what its method gives, which the asynchronous one's must be awaited for."""
With = Callable[..., Any]
"""`with_client(url, use, **options)`: open a client, use it, close it."""


def _with_sync(url: str, use: Use, **options: Any) -> Any:
    with Client(url, **options) as client:
        return use(client)


def _with_async(url: str, use: Use, **options: Any) -> Any:
    async def main() -> Any:
        async with AsyncClient(url, **options) as client:
            return await use(client)

    return asyncio.run(main())


@pytest.fixture(params=[_with_sync, _with_async], ids=["sync", "async"])
def with_client(request: pytest.FixtureRequest) -> With:
    """Runs a use of each client."""
    runner: With = request.param
    return runner
