"""The OpenAPI 3.1 document of services: what validation accepts, what is answered, and what can go wrong.

    components.schemas      <service>.request, <service>.answer, and the shapes that all services share
    components.responses    a refusal per HTTP status that some service has
    paths                   /v1/private/<service>, the service's other routes, and those of the server itself

The sentences in it are constants, so that the page at /docs can have them in Chinese as well.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from athena_serving import errors
from athena_serving.errors import AthenaError
from athena_serving.wire import request_schema, samples
from athena_serving.wire.messages import DATA_KEYS
from athena_serving.wire.request_schema import Json
from athena_serving.wire.schema import Node, Schema

VERSION: Final = "3.1.0"

RULES: Final = (
    "Data are base64, in standard alphabet and with padding; line ends may stand inside.",
    "null passes for any type but for the app id, and counts as not given.",
    "Lengths count bytes of UTF-8: where this document says characters, other text than ASCII counts for more.",
    "Defaults are filled in after the check. Unknown members are refused.",
    "The last part of the path names the service, or serviceId in the query does; any method is a call.",
)
"""What holds for every call, and JSON Schema cannot say (http-api.md, chapters 1 and 2)."""


class Fault(NamedTuple):
    """A way in which a call can fail."""

    kind: type[AthenaError]
    words: str
    status: int = 0
    """HTTP status that no service can change; 0 for that of `kind`, or of the service's `meta.codeMap`."""


FAULTS: Final = (
    Fault(errors.BadRequest, "The request is not JSON, against the schema, or its data are not base64."),
    Fault(errors.BadAppId, "No app id, or not the caller's."),
    Fault(errors.RequestTimeout, "The request came too slowly.", status=408),
    Fault(errors.BodyTooLarge, "The body is larger than the server takes."),
    Fault(errors.CallerError, "The headers are larger than the server takes.", status=431),
    Fault(errors.QueueFull, "Every seat is taken and the queue is full."),
    Fault(errors.InternalError, "An error of the server's own; its log has the sid."),
    Fault(errors.MethodMissing, "The service cannot be called in this way."),
    Fault(errors.OnceFailed, "The service's own code failed; the message has its words."),
    Fault(errors.OutputInvalid, "The service answered with something that its schema does not have."),
    Fault(errors.Unavailable, "No worker is ready, or the server is stopping."),
    Fault(errors.WorkerDied, "The worker died under the call."),
    Fault(errors.DeadlineExceeded, "No answer within the call's time."),
)
_OWN_CODE: Final = "A code to which the service has given this status."
_NO_HEADER: Final = "Without a header where the Content-Type is not application/json."

_TEXT: Final[Json] = {"type": "string"}
_CODE: Final[Json] = {"type": "integer", "description": "What went wrong, for programs; 0 is success."}
_SID: Final[Json] = {"type": "string", "description": "Names the call in every log.", "examples": [samples.SID]}
_SHARED: Final[Json] = {
    "Error": {
        "type": "object",
        "properties": {
            "header": {
                "type": "object",
                "properties": {
                    "code": _CODE,
                    "message": {"type": "string", "description": "What went wrong, for people."},
                    "sid": _SID,
                    "errors": {
                        "type": "array",
                        "description": "Each wrong place of the request.",
                        "items": {
                            "type": "object",
                            "properties": {
                                "pointer": {"type": "string", "description": "JSON pointer into the request."},
                                "message": _TEXT,
                            },
                            "required": ["pointer", "message"],
                        },
                    },
                },
                "required": ["code", "message", "sid"],
            }
        },
        "required": ["header"],
    },
    "Message": {"type": "object", "properties": {"message": _TEXT}, "required": ["message"]},
    "Health": {
        "type": "object",
        "properties": {
            "ready": {"type": "boolean"},
            "state": _TEXT,
            "reasons": {"type": "array", "items": _TEXT},
            "services": {"type": "object", "additionalProperties": {"type": "object"}},
        },
        "required": ["ready", "reasons"],
    },
}
_HEADERS: Final[Json] = {
    "X-Request-ID": {"description": "The caller's own id of the request, else the sid.", "schema": _TEXT},
    "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer"}},
}
_PARAMETERS: Final[Json] = {
    "X-Request-ID": {
        "name": "X-Request-ID",
        "in": "header",
        "description": "An id of your own, up to 128 printable ASCII characters, for answer and log.",
        "schema": _TEXT,
    },
    "traceparent": {
        "name": "traceparent",
        "in": "header",
        "description": "W3C trace context; comes back as it was sent.",
        "schema": _TEXT,
    },
}


_EVENTS: Final[Json] = {
    "type": "string",
    "description": "With this Accept, one event a step: `id: 1` and `data: ` with the answer as JSON; its header has a "
    "status, 2 in the last. A failure after the first event is an `event: error`.",
}
_LINES: Final[Json] = {"type": "string", "description": "With this Accept, one JSON answer a line and step."}


def build(schemas: Sequence[Schema], *, title: str, version: str, body_limit: int) -> dict[str, Any]:
    """The document of these services. `body_limit` is in bytes; 0 if it is not known."""
    names = _unique(schemas)
    paths: Json = {}
    shared: Json = dict(_SHARED)
    responses: Json = {}
    for schema, name in zip(schemas, names, strict=True):
        request = request_schema.build(schema, at=f"#/components/schemas/{name}.request")
        shared |= {f"{name}.request": request, f"{name}.answer": _answer(schema)}
        refusals = {f"{name}.{status}": one for status, one in _refusals(schema).items()}
        responses |= refusals
        paths |= _calls(schema, name, request, refusals, others=schemas)
    limit = f"\n\nA body may have {body_limit} bytes." if body_limit else ""
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": version, "description": "\n\n".join(RULES) + limit},
        "tags": [*({"name": schema.service} for schema in schemas), {"name": "server"}],
        "paths": {**paths, **_own_routes()},
        "components": {"schemas": shared, "responses": responses, "headers": _HEADERS, "parameters": _PARAMETERS},
    }


def _unique(schemas: Iterable[Schema]) -> list[str]:
    """Names for components; services whose names differ in other characters only get numbers."""
    names: list[str] = []
    for schema in schemas:
        name = plain = request_schema.component(schema.service)
        number = 2
        while name in names:
            name, number = f"{plain}-{number}", number + 1
        names.append(name)
    return names


# ── calls ─────────────────────────────────────────────────────────────────────────────────────────


def _calls(schema: Schema, name: str, request: Json, refusals: Mapping[str, Json], *, others: Sequence[Schema]) -> Json:
    """A path item per route of a service."""
    content: Json = {"schema": _ref("schemas", f"{name}.request")}
    sample = samples.request(schema, request)
    if sample is not None:
        content["example"] = sample
    answered = {"schema": _ref("schemas", f"{name}.answer"), "example": samples.answer(schema)}
    responses: Json = {
        "200": {
            "description": "The answer of the service.",
            "headers": {"X-Request-ID": _ref("headers", "X-Request-ID")},
            "content": {
                "application/json": answered,
                "text/event-stream": {"schema": _EVENTS},
                "application/x-ndjson": {"schema": _LINES},
            },
        }
    }
    for key in refusals:
        responses[key.rpartition(".")[2]] = _ref("responses", key)
    items: Json = {}
    for number, path in enumerate(_paths(schema, others), start=1):
        operation: Json = {
            "operationId": f"call_{name}" if number == 1 else f"call_{name}_{number}",
            "summary": f"Call {schema.service}",
            "tags": [schema.service],
            "parameters": [_ref("parameters", one) for one in _PARAMETERS],
            "requestBody": {"required": True, "content": {"application/json": content}},
            "responses": responses,
        }
        if "stream" in schema.faces:
            # OpenAPI has no words for WebSockets: at the same path, a JSON object a frame (docs/sessions.md).
            operation["x-athena-stream"] = True
            operation["x-athena-once"] = "once" in schema.faces or schema.takes_once
        items[path] = {"post": operation}
    return items


def _paths(schema: Schema, others: Sequence[Schema]) -> list[str]:
    """Where a service is called, as OpenAPI writes paths: a last part that names another service is that one's."""
    names = {one.service for one in others if one is not schema}
    ours = [f"/v1/private/{schema.service}", *schema.routes]
    ours = [path for path in ours if path.startswith("/") and path.rpartition("/")[2] not in names]
    return [quote(path, safe="/:@!$&'()*+,;=~") for path in dict.fromkeys(ours)]


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


# ── answers ───────────────────────────────────────────────────────────────────────────────────────


def _answer(schema: Schema) -> Json:
    """What `envelope.encode` writes."""
    blocks = _at(schema.document, "schemaoutput", "properties", "payload", "properties")
    outputs = {
        key: _output(key, kind, schema.casts.get(key, {}), _at(blocks, key, "properties"))
        for key, kind in schema.outputs.items()
    }
    said = _at(schema.document, "schemaoutput", "properties", "header", "properties")
    again = {name: _attribute(cast, _at(said, name)) for name, cast in schema.header.items()}
    return {
        "type": "object",
        "properties": {
            "header": {
                "type": "object",
                "properties": {**again, "code": {**_CODE, "const": 0}, "message": {"const": "success"}, "sid": _SID},
                "required": ["code", "message", "sid"],
            },
            "payload": {"type": "object", "properties": outputs, "additionalProperties": False},
        },
        "required": ["header", "payload"],
    }


def _output(key: str, kind: int, casts: Mapping[str, str], said: Node) -> Json:
    """One output: attributes, typed as the schema has it, and data: base64, but for JSON that was asked for as such."""
    data = DATA_KEYS[kind]
    members: Json = {name: _attribute(cast, _at(said, name)) for name, cast in casts.items() if name != data}
    for name in ("seq", "status"):  # whose values are ours: always numbers
        cast = casts.get(name, "")
        members[name] = {**_attribute(cast, _at(said, name)), **({"type": cast} if cast in _NUMBERS else {})}
    words = (
        "Base64; a JSON value where format is json and the data are valid JSON; a string where format is text and the "
        "data are UTF-8."
    )
    return {
        "type": "object",
        "title": key,
        "properties": {**members, data: {**_words(_at(said, data)), "description": words}},
        "required": ["seq", "status", data],
        "if": {"properties": {"format": {"enum": ["json", "text"]}}, "required": ["format"]},
        "else": {
            "properties": {
                data: {"type": "string", "contentEncoding": "base64", "pattern": request_schema.ANSWERED},
            }
        },
    }


_NUMBERS: Final = ("integer", "number")
_TYPES: Final[dict[str, object]] = {
    "bool": "boolean",
    "boolean": "boolean",
    **{name: [name, "string"] for name in _NUMBERS},  # what is no number stays text
}


def _attribute(cast: str, said: Node) -> Json:
    """An attribute; its values are usual ones, not all: a caller or the service's code may have others."""
    node: Json = {"type": _TYPES.get(cast, "string"), **_words(said)}
    values = said.get("enum")
    if isinstance(values, list):
        node["examples"] = values
    return node


def _words(said: Node) -> Json:
    return {key: text for key in ("title", "description") if isinstance(text := said.get(key), str) and text}


def _refusals(schema: Schema) -> dict[str, Json]:
    """A response per HTTP status, with the codes that come with it."""
    by_status: dict[int, list[Json]] = {}
    retried: set[int] = set()
    for kind, words, fixed in FAULTS:
        status = fixed or schema.code_map.get(kind.code, kind.http)
        by_status.setdefault(status, []).append({"code": kind.code, "description": words})
        if kind.retry:
            retried.add(status)
    known = {kind.code for kind, _, _ in FAULTS}
    for code, status in schema.code_map.items():
        if code not in known:
            by_status.setdefault(status, []).append({"code": code, "description": _OWN_CODE})
    not_json = schema.code_map.get(errors.BadRequest.code, errors.BadRequest.http)
    return {
        str(status): _refusal(codes, is_bare=status == not_json, is_retried=status in retried)
        for status, codes in sorted(by_status.items())
    }


def _refusal(codes: list[Json], *, is_bare: bool, is_retried: bool) -> Json:
    lines = [f"{one['code']}: {one['description']}" for one in codes]
    body: Json = _ref("schemas", "Error")
    if is_bare:
        body = {"anyOf": [body, _ref("schemas", "Message")]}
        lines.append(_NO_HEADER)
    names = ["X-Request-ID", *(["Retry-After"] if is_retried else [])]
    return {
        "description": "\n\n".join(lines),
        "headers": {name: _ref("headers", name) for name in names},
        "content": {"application/json": {"schema": body}},
        "x-codes": codes,
    }


def _at(node: object, *path: str) -> Node:
    """The object at `path`, empty where there is none."""
    for step in path:
        node = node.get(step) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else {}


# ── the server's own ──────────────────────────────────────────────────────────────────────────────


def _own_routes() -> Json:
    health = _ref("schemas", "Health")
    message = _ref("schemas", "Message")
    alive: Json = {"type": "object", "properties": {"alive": {"const": True}}, "required": ["alive"]}
    return {
        "/livez": _own("livez", "Is the server alive?", _json("It is.", alive)),
        "/readyz": _own(
            "readyz",
            "Can every service be called?",
            _json("All can.", health),
            _json("Not all can; the reasons say why.", health),
        ),
        "/healthz": _own("healthz", "Services and workers, with their states and reasons.", _json("Health.", health)),
        "/metrics": _own(
            "metrics",
            "What was counted, for Prometheus.",
            {"description": "Prometheus text.", "content": {"text/plain": {"schema": _TEXT}}},
            _json("The supervisor did not answer.", message),
        ),
    }


def _own(name: str, summary: str, good: Json, bad: Json | None = None) -> Json:
    responses = {"200": good, **({"503": bad} if bad is not None else {})}
    return {"get": {"operationId": name, "summary": summary, "tags": ["server"], "responses": responses}}


def _json(words: str, schema: Json) -> Json:
    return {"description": words, "content": {"application/json": {"schema": schema}}}
