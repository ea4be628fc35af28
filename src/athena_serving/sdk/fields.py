"""Fields: what a service takes and gives, written as class attributes (wrapper.md 1.5).

A body field is an input in `requestCls` and an output in `responseCls`; a parameter field in `requestCls` is a
parameter. Each carries a test value, used for a warm-up call before the service is ready.
"""

import json
import logging
import os.path
from collections.abc import Sequence
from contextlib import suppress

from athena_serving.sdk.constants import AUDIO, IMAGE, STRING

_log = logging.getLogger("athena_serving.sdk")

PLACEHOLDER = b"test"
"""Test value of a body field that has none."""

Scalar = str | int | float | bool


def _scalar(value: Scalar | bytes) -> Scalar:
    """Old wrappers give bytes where a text is meant."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _bytes(value: object, key: str) -> bytes:
    """A text's test value. Raises TypeError as ASF did, for what is neither bytes nor str."""
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise TypeError(f"the value of field {key!r} must be bytes or str, not {type(value).__name__}")


def _bounds(**rules: object) -> dict[str, object]:
    """Bounds as a schema has them: numbers may be written as text, and what bounds nothing is left out.

    ASF checked none of them. What is no number at all stays: `document` refuses it by its field's name.
    """
    numbers = {name: _number(value) for name, value in rules.items()}
    return {name: value for name, value in numbers.items() if value not in (None, _INFINITY, -_INFINITY)}


def _lengths(**rules: object) -> dict[str, object]:
    """The same for lengths, where 44.0 is 44, and a negative one bounds nothing."""
    said = _bounds(**rules)
    said |= {name: int(value) for name, value in said.items() if isinstance(value, float) and value.is_integer()}
    return {name: value for name, value in said.items() if not (isinstance(value, int) and value < 0)}


_INFINITY = float("inf")


def _number(value: object) -> object:
    if isinstance(value, str | bytes):
        for kind in (int, float):
            with suppress(ValueError):
                return kind(value)
    return value


class Field:
    """What all fields have: a name on the wire and words for people."""

    def __init__(self, key: str, *, title: str = "", description: str = "") -> None:
        self.key = key
        self.title = title
        self.description = description


class BodyField(Field):
    """Bytes in or out, with the attributes they have unless the caller says otherwise."""

    data_type: int = STRING

    def __init__(self, key: str, **attributes: str) -> None:
        super().__init__(key)
        self.attributes = {name: str(value) for name, value in attributes.items() if value}
        """Attribute name to default value: encoding, compress, format."""

    def sample(self, folder: str = "") -> bytes | None:
        """The test value, None if there is none; a relative path is tried in `folder` as well."""
        raise NotImplementedError

    @property
    def test_value(self) -> bytes:
        """The test value, or a placeholder."""
        return self.sample() or PLACEHOLDER


class StringBodyField(BodyField):
    """Text, as bytes in UTF-8."""

    def __init__(
        self,
        key: str,
        value: bytes | str = b" ",
        need_base64: bool = False,
        encoding: str = "utf8",
        format: str = "plain",  # noqa: A002  # ASF's name
        compress: str = "raw",
        status: int = 3,
    ) -> None:
        super().__init__(key, encoding=encoding, compress=compress, format=format)
        self.value = _bytes(value, key)
        self.need_base64 = need_base64
        self.status = status

    def sample(self, folder: str = "") -> bytes | None:
        """`value`."""
        return self.value or None


class JsonBodyField(BodyField):
    """JSON text. As an output it is embedded in the answer as JSON, unless the caller asks for another format."""

    def __init__(self, key: str, value: object = "", need_base64: bool = False) -> None:
        super().__init__(key, encoding="utf8", compress="raw", format="json")
        self.value = value
        self.need_base64 = need_base64
        self.status = 3

    def sample(self, folder: str = "") -> bytes | None:
        """`value` as it stands if it is text or bytes, else as JSON."""
        if isinstance(self.value, bytes):
            return self.value or None
        text = self.value if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False, default=str)
        return text.encode() or None


class FileField(BodyField):
    """A body field whose test value is a file."""

    def __init__(self, key: str, path: str, **attributes: str) -> None:
        super().__init__(key, **attributes)
        self.path = path

    def sample(self, folder: str = "") -> bytes | None:
        """The file's bytes; a file that is named but not there is worth a warning, no more."""
        if not self.path:
            return None
        for place in ("", folder):
            try:
                # os.path: pathlib would cost every wrapper 8 ms of its start.
                with open(os.path.join(place, self.path), "rb") as file:  # noqa: PTH118, PTH123
                    return file.read() or None
            except OSError:
                continue
        _log.warning("the test value of field %r is missing: no file %s", self.key, self.path)
        return None


class AudioBodyField(FileField):
    """Sound."""

    data_type = AUDIO

    def __init__(
        self,
        key: str,
        path: str = "",
        encoding: str = "raw",
        format: str = "plain",  # noqa: A002  # ASF's name
        compress: str = "raw",
        status: int = 3,
    ) -> None:
        super().__init__(key, path, encoding=encoding, compress=compress, format=format)
        self.status = status


class ImageBodyField(FileField):
    """A picture."""

    data_type = IMAGE

    def __init__(
        self, key: str, path: str = "", need_base64: bool = False, encoding: str = "jpg", status: int = 3
    ) -> None:
        super().__init__(key, path, encoding=encoding)
        self.need_base64 = need_base64
        self.status = status


class ParamField(Field):
    """A parameter: reaches the wrapper in `params`, always as a str.

    A bound that is None is none; a test value beyond the bounds is the author's business.
    """

    data_type: str = "string"

    def __init__(
        self,
        key: str,
        *,
        enums: Sequence[Scalar | bytes | None] | None = (),
        required: bool = False,
        value: Scalar | bytes | None = "",
        title: str = "",
        description: str = "",
    ) -> None:
        super().__init__(key, title=title, description=description)
        # None is no choice: null passes every check of its own.
        self.enums = tuple(_scalar(one) for one in enums or () if one is not None)
        self.required = required
        self.value: Scalar = "" if value is None else _scalar(value)

    def rules(self) -> dict[str, object]:
        """The keywords of its schema, beside `type`."""
        return {"enum": [*self.enums]} if self.enums else {}

    @property
    def test_value(self) -> Scalar:
        """`value`, or the first of `enums` where that is not among them."""
        return self.enums[0] if self.enums and self.value not in self.enums else self.value


class StringParamField(ParamField):
    """A parameter that is text; lengths are in bytes of UTF-8."""

    def __init__(
        self,
        key: str,
        minLength: int | None = 0,
        maxLength: int | None = 1024,
        enums: Sequence[Scalar | bytes | None] | None = (),
        required: bool = False,
        value: str | bytes | None = "",
        description: str = "",
        title: str = "",
    ) -> None:
        super().__init__(key, enums=enums, required=required, value=value, title=title, description=description)
        self.minLength = minLength
        self.maxLength = maxLength

    def rules(self) -> dict[str, object]:
        """`enum`, or the lengths."""
        return super().rules() or _lengths(minLength=self.minLength, maxLength=self.maxLength)


class NumberParamField(ParamField):
    """A parameter that is a number."""

    data_type = "number"

    def __init__(
        self,
        key: str,
        minimum: float | None = 0,
        maximum: float | None = 100,
        enums: Sequence[Scalar | bytes | None] | None = (),
        required: bool = False,
        value: float | str | None = 0,
        description: str = "",
        title: str = "",
    ) -> None:
        super().__init__(key, enums=enums, required=required, value=value, title=title, description=description)
        self.minimum = minimum
        self.maximum = maximum

    def rules(self) -> dict[str, object]:
        """`enum`, or the bounds."""
        return super().rules() or _bounds(minimum=self.minimum, maximum=self.maximum)


class IntegerParamField(NumberParamField):
    """A parameter that is a whole number."""

    data_type = "integer"


class BooleanParamField(ParamField):
    """A parameter that is true or false; `default` is filled in where the caller does not say."""

    data_type = "boolean"

    def __init__(
        self, key: str, title: str = "", default: bool = False, required: bool = False, description: str = ""
    ) -> None:
        super().__init__(key, required=required, value=default, title=title, description=description)
        self.default = default

    def rules(self) -> dict[str, object]:
        """The default, where the caller may leave the parameter out."""
        return {} if self.required else {"defaultVal": self.default}
