"""Old names: packages that existing wrappers import (wrapper.md 1.1). The same objects as in `athena_serving.sdk`."""

from athena_serving.sdk.constants import EXIT_SIG

__all__ = ["EXIT_SIG"]
