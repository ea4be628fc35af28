"""The schema document of a wrapper: made of its fields, or written by hand beside it."""

import json
from pathlib import Path

import pytest

from athena_serving.errors import WrapperNotLoadable
from athena_serving.sdk import JsonBodyField, NumberParamField, StringBodyField, WrapperBase, document
from athena_serving.sdk.document import Node
from athena_serving.wire import meta, schema
from athena_serving.worker import load, schemafile
from tests.serving import ECHO, Server, text_of

BODY = 1 << 20


class Request:
    """One text."""

    data = StringBodyField(key="data")


class Answer:
    """One text."""

    result = StringBodyField(key="result")


class Wrapper(WrapperBase):
    """A service with a name and a version."""

    serviceId = "songs"
    version = "v2"
    requestCls = Request()
    responseCls = Answer()


class Nameless:
    """Nothing but what every service must have."""


def described(folder: Path, kind: type = Wrapper, *, name: str = "", version: str = "") -> Node:
    """The document of a wrapper that stands in a folder."""
    return load.describe(kind, folder / "wrapper.py", name=name, version=version, body_limit=BODY)


def by_hand(folder: Path, content: object) -> Path:
    """Write `schema.json`: text and bytes as they are, else as JSON."""
    file = folder / "schema.json"
    raw = content if isinstance(content, bytes) else content if isinstance(content, str) else json.dumps(content)
    file.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return file


def failure(folder: Path) -> WrapperNotLoadable:
    """Why there is no document."""
    with pytest.raises(WrapperNotLoadable) as caught:
        described(folder)
    assert caught.value.exit_code == 3
    return caught.value


def plain(**said: object) -> Node:
    """A document of a service `tunes` by its nick-name `songs`."""
    return {
        "meta": {
            "serviceId": "tunes",
            "version": "v7",
            "service": ["songs"],
            "songs": {"input": {"data": {"dataType": "text"}}, "accept": {"result": {"dataType": "text"}}},
            **said,
        },
        "schemainput": {"type": "object", "properties": {"payload": {"type": "object"}}},
        "schemaoutput": {},
    }


# ── from the fields ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [(Wrapper, "", "songs"), (Wrapper, "tunes", "tunes"), (Nameless, "", "folder"), (Nameless, "tunes", "tunes")],
)
def test_service_is_called_as_settings_class_or_folder_say(
    tmp_path: Path, kind: type, name: str, expected: str
) -> None:
    """The first of the three that says something."""
    (tmp_path / "folder").mkdir()
    found = described(tmp_path / "folder", kind, name=name)
    assert meta.service(meta.read(found)) == expected
    assert found == document.build(kind, name=expected, body_limit=BODY)


def test_version_of_the_settings_wins(tmp_path: Path) -> None:
    """Over the class's."""
    assert meta.read(described(tmp_path))["version"] == "v2"
    assert meta.read(described(tmp_path, version="v9"))["version"] == "v9"


def test_fields_that_make_no_schema_are_said(tmp_path: Path) -> None:
    """Whatever is wrong with them, it is the wrapper that cannot be loaded."""

    class Low:
        serviceId = "low"
        requestCls = type("Wrong", (), {"a": NumberParamField(key="top", maximum=float("nan"))})

    with pytest.raises(WrapperNotLoadable, match="maximum of field 'top' must be a finite number"):
        described(tmp_path, Low)


# ── by hand ───────────────────────────────────────────────────────────────────────────────────────


def test_document_by_hand_wins(tmp_path: Path) -> None:
    """Over class and folder, as it stands."""
    by_hand(tmp_path, plain())
    assert described(tmp_path) == plain()


def test_document_may_begin_with_a_mark(tmp_path: Path) -> None:
    """Editors on Windows write one."""
    by_hand(tmp_path, b"\xef\xbb\xbf" + json.dumps(plain()).encode())
    assert described(tmp_path) == plain()


@pytest.mark.parametrize("nicks", [{}, {"service": ["songs", "hits"]}])
def test_settings_name_the_service_and_nick_names_stay(tmp_path: Path, nicks: Node) -> None:
    """Callers go on to write `parameter.songs`, whatever the service is called here."""
    by_hand(tmp_path, plain(**nicks))
    found = meta.read(described(tmp_path, name="mine", version="v9"))
    assert (found["serviceId"], found["version"]) == ("mine", "v9")
    assert found["service"] == nicks.get("service", ["songs"])


def test_old_name_becomes_the_nick_name_where_there_is_none(tmp_path: Path) -> None:
    """Its inputs stand under it, and must be found."""
    written = plain()
    about = written["meta"]
    assert isinstance(about, dict)
    del about["service"]
    about["tunes"] = about.pop("songs")
    by_hand(tmp_path, written)
    compiled = schema.compile(described(tmp_path, name="mine"), body_limit=BODY)
    assert (compiled.service, compiled.names, list(compiled.inputs)) == ("mine", ("tunes",), ["data"])


def test_output_that_it_lacks_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """All of them in one line; one that only it has is no matter."""

    class More:
        responseCls = type("More", (), {"a": JsonBodyField(key="a"), "b": JsonBodyField(key="b")})

    file = by_hand(tmp_path, plain())
    described(tmp_path, More)
    assert caplog.messages == [f"{file} has no output a, b, which the wrapper declares; it wins"]
    caplog.clear()
    described(tmp_path, Nameless)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("content", "message", "place"),
    [
        ("", "schema.json is not JSON: Expecting value", ":1:1"),
        ('{\n  "meta": }', "schema.json is not JSON: Expecting value", ":2:11"),
        ('{"meta": {}} {}', "schema.json is not JSON: Extra data", ":1:14"),
        ('{"meta": NaN}', "schema.json is not JSON: NaN is no number", ""),
        ("[" * 200_000, "schema.json is not JSON: it is nested too deeply", ""),
        (b'{\n"a": "\xff"}', "schema.json is not UTF-8", ":2"),
        ("[]", "schema.json must hold an object", ""),
        ({}, "schema.json is no schema document: ", ": meta"),
        (plain(type="category"), "schema.json is no schema document: a category's leads to other services", ": meta"),
        (plain(serviceId=5), "schema.json is no schema document: ", ": meta.serviceId"),
        ({**plain(), "schemainput": {"type": "strnig"}}, "schema.json is no schema document: ", ": schemainput.type"),
    ],
)
def test_document_that_is_none_fails_the_load_with_its_place(
    tmp_path: Path, content: object, message: str, place: str
) -> None:
    """Before a door has seen it."""
    file = by_hand(tmp_path, content)
    error = failure(tmp_path)
    assert (error.message[: len(message)], error.where) == (message, f"{file}{place}")
    assert error.help


def test_document_has_a_bound(tmp_path: Path) -> None:
    """What is larger was not written by hand."""
    by_hand(tmp_path, " " * (schemafile.LONGEST + 1))
    assert failure(tmp_path).message == "schema.json is larger than 4 MiB"


def test_document_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A folder, say."""
    (tmp_path / "schema.json").mkdir()
    assert failure(tmp_path).message == "schema.json cannot be read: Is a directory"


def test_document_that_is_none_ends_the_start(tmp_path: Path) -> None:
    """Exit code 3, with the place, before anybody is served."""
    folder = tmp_path / "songs"
    folder.mkdir()
    (folder / "wrapper.py").write_text(ECHO)
    file = by_hand(folder, "{\n]")
    with Server(tmp_path, folder, ready=False) as server:
        assert server.wait() == 3
        assert f"where: {file}:2:1" in server.log_text()


def test_document_by_hand_is_what_callers_are_held_to(tmp_path: Path) -> None:
    """The service has its name, callers its nick-name; what only the class would take is refused."""
    folder = tmp_path / "songs"
    folder.mkdir()
    (folder / "wrapper.py").write_text(ECHO)
    written = plain()
    block = {"type": "object", "properties": {"text": {"type": "string", "maxLength": 8}}}
    written["schemainput"] = {
        "type": "object",
        "properties": {"header": {}, "parameter": {}, "payload": {"type": "object", "properties": {"data": block}}},
    }
    by_hand(folder, written)
    with Server(tmp_path, folder) as server:
        request: Node = {"header": {"app_id": "1"}, "payload": {"data": {"text": "aGVsbG8="}}}
        assert text_of(server.post("tunes", request).json()) == "hello"
        assert (
            server.post("tunes", {**request, "payload": {"data": {"text": "aGVsbG8=", "status": 3}}}).status_code == 400
        )
