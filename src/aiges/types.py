"""Where `aiges.core.types` was until November 2022; wrappers of that time import it from here."""

from aiges.core import types
from aiges.core.types import *  # noqa: F403  # the very same names

__all__: list[str] = []
__all__ += types.__all__
