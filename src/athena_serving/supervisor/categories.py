"""Categories that are served beside the wrappers: their documents, read and checked before anything starts."""

import json
from collections.abc import Iterable
from pathlib import Path

from athena_serving.errors import UsageError
from athena_serving.wire import category
from athena_serving.wire.category import Category


def read(paths: Iterable[Path]) -> dict[str, bytes]:
    """Schema documents by service. Raises `UsageError` for one that is no category, or a name that is there twice."""
    documents: dict[str, bytes] = {}
    for path in paths:
        name = _parse(path).service
        if name in documents:
            raise UsageError(f"two categories are called {name!r}", where=str(path), help="give one another serviceId")
        documents[name] = path.read_bytes()
    return documents


def _parse(path: Path) -> Category:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path.name} cannot be read: {error}", where=str(path), help="a JSON object") from None
    if not isinstance(document, dict) or not category.is_category(document):
        raise UsageError(
            f"{path.name} is no category, and there is no wrapper beside it",
            where=str(path),
            help='put a wrapper.py there, or say "type": "category" and "subRoute" in its meta',
        )
    try:
        return category.parse(document)
    except UsageError as error:
        raise UsageError(error.message, where=f"{path}: {error.where}", help=error.help) from None
