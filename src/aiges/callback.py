"""How a wrapper sends results of a session (wrapper.md 1.4)."""

from athena_serving.sdk.callback import callback

__all__ = ["callback"]
