"""A thread that works on one session's requests (wrapper.md 1.8)."""

from athena_serving.sdk.inference import InferClass, Worker

__all__ = ["InferClass", "Worker"]
