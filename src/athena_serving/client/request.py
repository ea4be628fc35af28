"""What a call sends: the JSON envelope of http-api.md 2.2, made of Python values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import msgspec
import pybase64

from athena_serving.wire.messages import Status


@dataclass(frozen=True)
class Input:
    """One input with what the server would otherwise be asked for, or told."""

    data: bytes | str | Path
    """Bytes; text, which is sent as UTF-8; or a file to read."""
    type: str = ""
    """`text`, `audio`, `image`, `video` or `other`; empty: as the service's schema has it."""
    encoding: str = ""
    """`jpg`, `wav`, `utf8`, ...; empty: not said."""
    attributes: Mapping[str, object] = field(default_factory=dict)
    """Whatever else the service wants to know: `{"sample_rate": 16000}`."""


Data = bytes | str | Path | Input
"""What a caller may give as one input."""


@dataclass(frozen=True)
class Ask:
    """One call as the caller means it; `inputs` hold bytes once `load` has read them."""

    service: str
    inputs: Mapping[str, Input]
    params: Mapping[str, object]
    outputs: Mapping[str, Mapping[str, object]]
    header: Mapping[str, object]

    @property
    def untyped(self) -> list[str]:
        """Inputs whose data type must be looked up."""
        return [key for key, one in self.inputs.items() if not one.type]

    def typed(self, types: Mapping[str, str]) -> "Ask":
        """The same with the types that are missing."""
        inputs = {key: one if one.type else replace(one, type=types[key]) for key, one in self.inputs.items()}
        return replace(self, inputs=inputs)


def load(inputs: Mapping[str, Data]) -> dict[str, Input]:
    """Inputs as bytes; files are read. Raises OSError for one that cannot be, TypeError for what is no input."""
    loaded = {}
    for key, given in inputs.items():
        one = given if isinstance(given, Input) else Input(given)
        loaded[key] = replace(one, data=_bytes(key, one.data))
    return loaded


def _bytes(key: str, data: object) -> bytes:
    match data:
        case str():
            return data.encode()
        case Path():
            return data.read_bytes()
        case bytes() | bytearray() | memoryview():
            return bytes(data)
    raise TypeError(f"input {key!r} is {type(data).__name__}: bytes, text, a Path or an Input is wanted")


def path(service: str) -> str:
    """Where a service is called."""
    return f"/v1/private/{quote(service, safe='')}"


def body(ask: Ask, *, app_id: str) -> bytes:
    """The envelope of a call whose inputs are loaded and typed. Raises TypeError for a value that JSON cannot have."""
    header: dict[str, object] = {"app_id": app_id, "status": Status.ONCE, **ask.header}
    parameter = {**ask.params, **ask.outputs}
    document = {
        "header": header,
        "parameter": {ask.service: parameter} if parameter else {},
        "payload": {key: _block(one) for key, one in ask.inputs.items()},
    }
    return msgspec.json.encode(document)


def _block(one: Input) -> dict[str, object]:
    """One input; data are base64 whatever they are (http-api.md 2.7)."""
    encoding = {"encoding": one.encoding} if one.encoding else {}
    data = one.data if isinstance(one.data, bytes) else b""  # `load` was there
    return {**one.attributes, **encoding, "status": Status.ONCE, one.type: pybase64.b64encode_as_string(data)}
