"""What a server says of its services in `/openapi.json` (docs/openapi.md): what each takes and gives, with types."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from athena_serving.client.faults import ServerFailed
from athena_serving.wire.messages import DATA_KEYS

Node = Mapping[str, object]
"""An object of a JSON document."""


@dataclass(frozen=True)
class ServiceSchema:
    """What one service takes and gives."""

    service: str
    inputs: Mapping[str, str]
    """Data type (`text`, `image`, ...) of each input."""
    outputs: Mapping[str, str]
    """Data type of each output."""
    params: Mapping[str, Node] = field(repr=False)
    """JSON Schema of each parameter."""
    header: Mapping[str, Node] = field(repr=False)
    """JSON Schema of each member of the request's header."""
    request: Node = field(repr=False)
    """JSON Schema of a whole request."""


def read(body: bytes) -> dict[str, ServiceSchema]:
    """The services of an OpenAPI document by name. Raises ServerFailed if it is none."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        document = None
    if not isinstance(document, dict) or "paths" not in document:
        raise ServerFailed("/openapi.json of the server is no OpenAPI document")
    found: dict[str, ServiceSchema] = {}
    for name, operation in _operations(document):
        found.setdefault(name, _service(name, operation, document))
    return found


def _operations(document: Node) -> Iterator[tuple[str, Node]]:
    """What can be called, by the tag that is the service's name."""
    for item in _at(document, "paths").values():
        operation = _at(item, "post")
        tags = operation.get("tags")
        if isinstance(tags, list) and tags and isinstance(tags[0], str):
            yield tags[0], operation


def _service(name: str, operation: Node, document: Node) -> ServiceSchema:
    json = ("content", "application/json", "schema")
    request = _resolved(_at(operation, "requestBody", *json), document)
    answer = _resolved(_at(operation, "responses", "200", *json), document)
    inputs = _types(_at(request, "properties", "payload", "properties"))
    outputs = _types(_at(answer, "properties", "payload", "properties"))
    params = _at(request, "properties", "parameter", "properties", name, "properties")
    header = _at(request, "properties", "header", "properties")
    own = {key: _at(params, key) for key in params if key not in outputs}
    return ServiceSchema(name, inputs, outputs, own, {key: _at(header, key) for key in header}, request)


def _types(blocks: Node) -> dict[str, str]:
    """Data type by name: the member that holds the data is called after it."""
    found = {}
    for key in blocks:
        members = _at(blocks, key, "properties")
        holders = [name for name in DATA_KEYS if name in members]
        # An attribute may have such a name as well; base64 is what data are, where that is said.
        coded = [name for name in holders if _at(members, name).get("contentEncoding") == "base64"]
        if holders:
            found[key] = (coded or holders)[0]
    return found


def _resolved(node: Node, document: Node) -> Node:
    """What a reference into the document leads to."""
    target = node.get("$ref")
    if not isinstance(target, str) or not target.startswith("#/"):
        return node
    steps = (step.replace("~1", "/").replace("~0", "~") for step in target[2:].split("/"))
    return _at(document, *steps)


def _at(node: object, *path: str) -> Node:
    """The object at `path`, empty where there is none."""
    for step in path:
        node = node.get(step) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else {}
