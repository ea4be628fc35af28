"""What the tests of several rooms want to know of descriptors."""

from pathlib import Path


def open_descriptors() -> int:
    """How many this process has."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
