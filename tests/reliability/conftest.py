"""Every test of this folder is a row of the reliability table: real processes, real sockets, real signals."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what stands here, so that no test can be forgotten by `-m reliability`."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.reliability)
