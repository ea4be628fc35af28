"""What a schema document says of its service: `meta`, and the string form of JSON values (http-api.md 5.2).

Light on purpose: the supervisor and `wire.category` read documents without a validator for them.
"""

import json
from collections.abc import Mapping
from decimal import Decimal

from athena_serving.errors import UsageError
from athena_serving.wire.messages import DATA_KEYS, DataType

Node = Mapping[str, object]
"""A piece of a schema document."""

RESERVED = frozenset({"livez", "readyz", "healthz", "metrics", "docs", "openapi.json", "monitor", ""})
"""Names that no service can have, since these paths are the server's own."""

_LONGEST_SUB = 16
_YEAR = 31_536_000.0


def text(value: object) -> str:
    """The string form of a JSON value, as ASF forwards it (http-api.md 6.3).

    Numbers in shortest decimal, never with an exponent; null is empty; arrays are joined by `;`. Objects become
    compact JSON, where ASF has Go's lossy `map[...]`.
    """
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return format(Decimal(repr(value)), "f").removesuffix(".0")
        case list():
            return ";".join(map(text, value))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def read(document: Node) -> Node:
    """`meta` of a schema document. Raises UsageError if it is no object."""
    found = document.get("meta")
    if not isinstance(found, Mapping):
        raise UsageError("meta must be an object", where="meta", help=f"it is {text(found)!r}")
    return found


def service(meta: Node) -> str:
    """The service's id. Raises UsageError if there is none."""
    name = meta.get("serviceId")
    if not isinstance(name, str) or not name:
        raise UsageError("the schema has no service id", where="meta.serviceId", help='"serviceId": "ocr"')
    return name


def sub(meta: Node) -> str:
    """The business type, the first letters of every sid: `ase` if it is left out.

    Raises UsageError for what cannot stand in a header or a log, where sids do.
    """
    found = text(meta.get("sub", "ase"))
    if len(found) > _LONGEST_SUB or not (found.isascii() and found.isprintable()):
        help_text = f'printable ASCII, {_LONGEST_SUB} letters at most: "sub": "ase"'
        raise UsageError(f"{found[:_LONGEST_SUB]!r} cannot begin a sid", where="meta.sub", help=help_text)
    return found


def outputs(meta: Node) -> dict[str, int]:
    """The service's outputs, name to data type, in the document's order, read leniently: workers know them by it."""
    found: dict[str, int] = {}
    for name in _texts(meta.get("service", [meta.get("serviceId")])):
        side = meta.get(name)
        accept = side.get("accept") if isinstance(side, Mapping) else None
        for key, value in accept.items() if isinstance(accept, Mapping) else ():
            kind = value.get("dataType") if isinstance(value, Mapping) else value
            # ASF takes a type that it does not know for audio (http-api.md 2.6).
            found[key] = DATA_KEYS.index(kind) if isinstance(kind, str) and kind in DATA_KEYS else DataType.AUDIO
    return found


def routes(meta: Node) -> tuple[str, ...]:
    """The service's paths, besides those that end in its id: one, or a list of them."""
    return _texts(meta.get("route"))


def hosts(meta: Node) -> tuple[str, ...]:
    """The host names at which its routes count, one or a list; none means all."""
    return _texts(meta.get("hosts"))


def code_map(meta: Node) -> dict[int, int]:
    """Error code to HTTP status (`codeMap`, http-api.md 3.6).

    Both may be numbers or numeric strings; a status outside 101 to 599 is ignored. Raises UsageError if it is no
    object.
    """
    node = meta.get("codeMap", {})
    if not isinstance(node, Mapping):
        raise UsageError("codeMap must be an object", where="meta.codeMap", help=f"it is {text(node)!r}")
    pairs = ((str(code), text(status)) for code, status in node.items())
    numbers = {int(code): int(status) for code, status in pairs if code.isdecimal() and status.isdecimal()}
    return {code: status for code, status in numbers.items() if 100 < status < 600}


def seconds(meta: Node, name: str) -> float:
    """A time of `meta`, a number or its text; 0 where there is none, as in ASF."""
    try:
        found = float(text(meta.get(name, 0)) or 0)
    except ValueError:
        return 0.0
    return found if 0 < found < _YEAR else 0.0


def array(value: object, name: str) -> list[object]:
    """A member of meta that is an array. Raises UsageError, with its name, if it is none."""
    if not isinstance(value, list | tuple):
        raise UsageError(f"{name} must be an array", where=f"meta.{name}", help=f"it is {text(value)!r}")
    return list(value)


def _texts(value: object) -> tuple[str, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(text(one) for one in values if one)
