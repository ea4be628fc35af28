"""A pool of at most so many objects (wrapper.md 1.8)."""

from athena_serving.sdk.inference import FixedPool

__all__ = ["FixedPool"]
