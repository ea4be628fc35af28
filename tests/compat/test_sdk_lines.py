"""Lines 1 to 8, 24 and 42 of the checklist of wrapper.md, chapter 14: what wrappers import and make."""

import importlib
import json
import logging
import subprocess
import sys
import threading
from typing import Any, Final

import pytest

import aiges.core.types
import aiges.dto
import aiges.sdk
import aiges_embed
from aiges.dto import DataListCls, DataListNode, Response, ResponseData
from aiges.sdk import (
    AudioBodyField,
    BooleanParamField,
    ImageBodyField,
    IntegerParamField,
    JsonBodyField,
    NumberParamField,
    StringBodyField,
    StringParamField,
    WrapperBase,
)
from athena_serving.sdk import document
from athena_serving.sdk.callback import sessions
from athena_serving.wire import schema

EMBEDDED: Final = (
    "ResponseData",
    "Response",
    "DataListCls",
    "DataListNode",
    "SessionCreateResponse",
    "callback",
)
CONSTANTS: Final = {
    "STRING": 0,
    "AUDIO": 1,
    "IMAGE": 2,
    "VIDEO": 3,
    "DataText": 0,
    "DataAudio": 1,
    "DataImage": 2,
    "DataVideo": 3,
    "DataBegin": 0,
    "DataContinue": 1,
    "DataEnd": 2,
    "DataOnce": 3,
    "Once": 3,
    "Types": {0: "text", 1: "audio", 2: "image", 3: "video"},
    "Status": {0: "begin", 1: "continue", 2: "end", 3: "once"},
    "THREAD_MODE": "thread",
    "PROCESS_MODE": "process",
}
"""wrapper.md 1.2."""
CENSUS: Final = {
    "aiges": ("EXIT_SIG",),
    "aiges_embed": (*EMBEDDED, "callback_metric", "callback_trace"),
    "aiges.dto": (*EMBEDDED, "DataText", "Once"),
    "aiges.core.types": (*CONSTANTS,),
    "aiges.types": (*CONSTANTS,),
    "aiges.sdk": (
        *("WrapperBase", "StringBodyField", "StringParamField", "ImageBodyField", "JsonBodyField", "AudioBodyField"),
        *("SessionManager", "IntegerParamField", "NumberParamField", "BooleanParamField"),
        *(*CONSTANTS, "StreamHandleThread", "json", "os", "sys", "queue"),
    ),
    "aiges.stream": (
        *("StreamHandleThread", "SessionManager", "ThreadPool", "WorkerThread", "RequestPool", "ReqHandleThread"),
        *("Context", "ModelProcess", "WorkerProcess", "ProcessThreadPool"),
    ),
    "aiges.utils.log": ("log", "getFileLogger", "getLogger"),
    "aiges.worker": ("Worker", "InferClass"),
    "aiges.concurrent.fixpool": ("FixedPool",),
    "aiges.callback": ("callback",),
    "aiges.errors": ("OK", "INIT_ERROR", "USER_INIT_ERROR", "USER_EXEC_ERROR"),
}
"""wrapper.md 1.1 and 1.9."""


def star(module: str) -> dict[str, Any]:
    """What `from module import *` gives."""
    names: dict[str, Any] = {}
    exec(f"from {module} import *", names)  # noqa: S102  # there is no other way inside a function
    return names


def in_a_new_process(script: str) -> str:
    """What a script prints, in an interpreter that has imported nothing."""
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_line_01_aiges_embed_has_the_objects_of_aiges_dto() -> None:
    """Old files try one and take the other, by a bare except."""
    from aiges_embed import callback_metric, callback_trace

    for name in EMBEDDED:
        assert getattr(aiges_embed, name) is getattr(aiges.dto, name)
    assert (callback_metric("tag", "key", 1), callback_trace("tag", "key", "value")) == (0, 0)


@pytest.mark.parametrize("module", CENSUS)
def test_line_01_every_name_of_the_census_is_there(module: str) -> None:
    """By name, and by star."""
    found = importlib.import_module(module)
    assert {name for name in CENSUS[module] if not hasattr(found, name)} == set()
    assert {*CENSUS[module]} <= {*star(module)}


def test_line_01_old_names_are_the_same_objects_everywhere() -> None:
    """A class has one identity, whatever a wrapper calls its place."""
    places: dict[str, set[int]] = {}
    for module in ("aiges.sdk", "aiges.dto", "aiges.stream", "aiges.core.types", "aiges.types", "aiges_embed"):
        found = importlib.import_module(module)
        for name in CENSUS[module]:
            places.setdefault(name, set()).add(id(getattr(found, name)))
    assert {name for name, ids in places.items() if len(ids) > 1} == set()


def test_line_01_codes_are_those_of_asf() -> None:
    """wrapper.md 1.9."""
    found = star("aiges.errors")
    codes = [found[name] for name in CENSUS["aiges.errors"]]
    assert (codes, importlib.import_module("aiges").EXIT_SIG) == ([0, 30001, 30002, 30003], -1)


def test_line_01_sdk_is_light() -> None:
    """Nothing but the standard library, and in no time.

    Measured inside a new process, as what the imports add to a bare interpreter; of three processes the fastest, since
    other work may be going on. The aim is 0.1 s; the bound is generous.
    """
    script = (
        "import sys, time; before = set(sys.modules); started = time.perf_counter()\n"
        "import aiges.sdk, aiges.dto, aiges_embed, aiges.utils.log\n"
        "seconds = time.perf_counter() - started; added = set(sys.modules) - before\n"
        "roots = {name.partition('.')[0] for name in added} - sys.stdlib_module_names\n"
        "rooms = {name.split('.')[1] for name in added if name.startswith('athena_serving.')}\n"
        "import json; print(json.dumps([seconds, sorted(roots), sorted(rooms)]))"
    )
    runs = [json.loads(in_a_new_process(script)) for _ in range(3)]
    assert runs[0][1:] == [["aiges", "aiges_embed", "athena_serving"], ["sdk"]]
    assert min(seconds for seconds, *_ in runs) < 0.5


def test_line_02_response_data_defaults() -> None:
    """Text, once, empty."""
    item = ResponseData()
    assert (item.key, item.data, item.len, item.type, item.status) == ("", b"", 0, 0, 3)


def test_line_02_response_data_takes_text_views_and_lengths() -> None:
    """Str becomes UTF-8; a length may shorten what is delivered, and never lengthens it."""
    item = ResponseData()
    item.data = "é"
    assert (item.data, item.len, bytes(item.content)) == (b"\xc3\xa9", 2, b"\xc3\xa9")
    item.data = memoryview(b"x")
    assert (item.len, bytes(item.content)) == (1, b"x")
    item.setData(b"ab")
    item.len = 1
    assert bytes(item.content) == b"a"
    item.len = 99
    assert bytes(item.content) == b"ab"
    item.type = None
    assert item.type == 0


@pytest.mark.parametrize(
    "item",
    [
        ResponseData(key="k", data=b"abc", length=2, type=1, status=0),
        ResponseData(key="k", data=b"abc", len=2, type=1, status=0),
        ResponseData("k", b"abc", 2, 1, 0),
    ],
)
def test_line_02_response_data_takes_all_its_arguments(item: ResponseData) -> None:
    """`aiges.dto` dropped two of them."""
    assert (item.key, bytes(item.content), item.type, item.status) == ("k", b"ab", 1, 0)


def test_line_02_response_data_takes_the_arguments_of_the_bridge() -> None:
    """(key, len, status, type)."""
    item = ResponseData("k", 3, 2, 1)
    assert (item.key, item.len, item.status, item.type, item.data) == ("k", 3, 2, 1, b"")


def test_line_03_data_type_is_checked() -> None:
    """By its method, as in `aiges.dto`."""
    item = ResponseData()
    item.setDataType(2)
    assert item.type == 2
    with pytest.raises(ValueError, match="no data type 7"):
        item.setDataType(7)
    assert json.loads(item.toJSON()) == {"key": "", "data": "", "len": 0, "type": 2, "status": 3}


def test_line_04_response_list_is_a_list() -> None:
    """Empty at first; a lone default item counts as nothing."""
    answer = Response()
    assert not answer.list
    assert not Response(list=[ResponseData()]).outputs
    item = ResponseData(key="k", data=b"x")
    answer.list.append(item)
    assert answer.outputs == [item]


def test_line_04_response_err_is_the_answer_itself() -> None:
    """`return res.response_err(5)`."""
    answer = Response()
    assert answer.response_err(5) is answer
    assert answer.error_code == 5


def test_line_05_inputs_are_found_by_key() -> None:
    """The first of a name, or None; the list can be printed."""
    request = DataListCls()
    assert request.get("a") is None
    request.list.append(DataListNode("a", b"1"))
    request.list.append(DataListNode(key="a", data=b"2", len=1, status=2, type=1))
    found = request.get("a")
    assert found is not None
    assert (found.get_data(), found.len, found.status, found.type, found.desc) == (b"1", 1, 3, 0, {})
    assert "key='a'" in "%s" % request.list  # noqa: UP031  # it is what 47 wrappers do
    assert type(request.list) is list


def test_line_06_star_import_gives_the_numbers() -> None:
    """Plain ints, as wrappers compare and print them."""
    for module in ("aiges.core.types", "aiges.types"):
        found = star(module)
        assert {name: found[name] for name in CONSTANTS} == CONSTANTS
        assert {type(found[name]) for name in ("DataText", "Once", "STRING")} == {int}


def test_line_07_fields_take_what_wrappers_give(caplog: pytest.LogCaptureFixture) -> None:
    """A str for bytes; a picture that is not there is worth a warning."""
    assert StringBodyField(key="t", value="text").test_value == b"text"
    with caplog.at_level(logging.WARNING):
        assert ImageBodyField(key="i", path="nowhere.png").test_value
    assert "nowhere.png" in caplog.text


def test_line_07_json_output_makes_a_schema() -> None:
    """29 published wrappers could not start with ASF's second generator."""

    class Answer:
        accept1 = JsonBodyField(key="boxes")

    class Wrapper(WrapperBase):
        serviceId = "ocr"
        responseCls = Answer()

    compiled = schema.compile(json.loads(Wrapper().schema()), body_limit=1 << 20)
    assert compiled.outputs == {"boxes": 0}


def test_line_08_wrapper_is_constructed_in_every_way() -> None:
    """With nothing, with three keywords, with and without a constructor of its own."""
    three = {"legacy": False, "is_aipaas": True, "keep_schema_default_value": True}

    class Plain(WrapperBase):
        pass

    class Passes(WrapperBase):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)

    class Keeps(WrapperBase):
        def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
            self.model = None

    for kind in (WrapperBase, Plain, Passes, Keeps):
        for made in (kind(), kind(**three)):
            assert made.session.get_idle_handle() is None
            assert (made.inputs_test_values, made.params_test_values, made.respData) == ({}, {}, [])
            assert made.config == {}
    assert not Passes(**three).legacy


def test_line_24_callback_finds_its_session_by_every_id() -> None:
    """Tag, sid, handle, or two of them; after the end nobody; from several threads."""
    got: list[Response] = []
    session = sessions.open("tag-24", "sid-24", got.append)
    session.name("handle-24")
    answer = Response([ResponseData(key="k", data=b"x")])
    forms = [("tag-24",), ("sid-24",), ("handle-24",), ("handle-24", "sid-24"), ("tag-24", "sid-24"), ("handle-24", "")]
    results = [aiges.dto.callback(answer, *form) for form in forms]
    threads = [
        threading.Thread(target=lambda: results.append(aiges_embed.callback(answer, "sid-24"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [0] * 14
    assert len(got) == 14
    assert aiges.dto.callback(Response(), "sid-24") == -1
    assert aiges.dto.callback(Response().response_err(5), "sid-24") == 0
    session.close()
    assert [aiges.dto.callback(answer, *form) for form in forms] == [-1] * 6


def test_line_24_late_thread_does_not_reach_the_next_session() -> None:
    """Its handle is another's by now, but its sid tells."""
    got: list[Response] = []
    old = sessions.open("old", "old", got.append)
    old.name("Process-0-Thread-0")
    old.close()
    new = sessions.open("new", "new", got.append)
    new.name("Process-0-Thread-0")
    answer = Response([ResponseData(key="k", data=b"x")])
    assert aiges.dto.callback(answer, "Process-0-Thread-0", "old") == -1
    assert aiges.dto.callback(answer, "Process-0-Thread-0") == 0
    new.close()
    assert len(got) == 1


class UserRequest:
    """Of the worked example (wrapper.md 9.2)."""

    img = ImageBodyField(key="img", path="x.png")
    mode = StringParamField(key="mode", enums=["fast", "full"], value="fast", required=True)
    topk = IntegerParamField(key="topk", minimum=1, maximum=10, value=3)
    verbose = BooleanParamField(key="verbose", default=True)


class UserResponse:
    """The same."""

    accept1 = StringBodyField(key="result")


class Wrapper(WrapperBase):
    """The same."""

    serviceId = "demo"
    version = "v1"
    requestCls: object = UserRequest()
    responseCls: object = UserResponse()


LEGACY: Final = """
{"meta": {"serviceId": "demo", "version": "v1", "route": "/v1/private/demo", "sub": "ase", "call": "atmos",
  "call_type": 0, "hosts": "api.xf-yun.com", "service": ["demo"], "routeKey": [],
  "demo": {"input": {"img": {"dataType": "image"}}, "accept": {"result": {"dataType": "text"}}}},
 "schemainput": {"type": "object", "properties": {
  "header": {"type": "object", "properties": {
    "appid": {"type": "string", "maxLength": 50}, "uid": {"type": "string", "maxLength": 50},
    "device_id": {"type": "string", "maxLength": 50}, "device.imei": {"type": "string", "maxLength": 50},
    "device.imsi": {"type": "string", "maxLength": 50}, "device.mac": {"type": "string", "maxLength": 50},
    "device.other": {"type": "string", "maxLength": 50}, "net.type": {"type": "string", "maxLength": 50},
    "net.isp": {"type": "string", "maxLength": 50}, "app.ver": {"type": "string", "maxLength": 50}},
    "required": ["appid"]},
  "parameter": {"type": "object", "properties": {"demo": {"type": "object", "properties": {
    "mode": {"type": "string", "enum": ["fast", "full"]}, "topk": {"type": "integer", "maximum": 10},
    "verbose": {"type": "boolean", "default": true}}, "required": ["mode"]}}},
  "payload": {"type": "object", "properties": {"img": {"type": "object", "properties": {
    "encoding": {"type": "string", "enum": ["jpg", "png", "bmp", "jpeg"]},
    "image": {"type": "string", "minLength": 1, "maxLength": 10485760},
    "status": {"type": "integer", "enum": [3]}}}}}}},
 "schemaoutput": {"type": "object", "properties": {"payload": {"type": "object", "properties": {
  "result": {"type": "object", "properties": {
    "encoding": {"type": "string", "enum": ["utf8", "gb2312"]}, "compress": {"type": "string", "enum": ["gzip"]},
    "status": {"type": "integer", "enum": [0, 1, 2, 3]}, "seq": {"type": "integer"},
    "text": {"type": "string"}}}}}}}}
"""


def test_line_42_legacy_document_is_byte_equal() -> None:
    """Key order included, once both are printed alike."""
    assert json.dumps(json.loads(Wrapper().schema_legacy())) == json.dumps(json.loads(LEGACY))


def test_line_42_our_document_keeps_what_fields_say() -> None:
    """Choices, bounds and defaults, of every kind of parameter."""

    class Request(UserRequest):
        share = NumberParamField(key="share", minimum=0.1, maximum=0.9, required=True)
        level = IntegerParamField(key="level", enums=[1, 2])
        sound = AudioBodyField(key="sound")

    class More(Wrapper):
        requestCls = Request()

    built = json.loads(More().schema())
    block = built["schemainput"]["properties"]["parameter"]["properties"]["demo"]
    kept = {name: block["properties"][name] for name in ("mode", "topk", "verbose", "share", "level")}
    assert kept == {
        "mode": {"type": "string", "enum": ["fast", "full"]},
        "topk": {"type": "integer", "minimum": 1, "maximum": 10},
        "verbose": {"type": "boolean", "defaultVal": True},
        "share": {"type": "number", "minimum": 0.1, "maximum": 0.9},
        "level": {"type": "integer", "enum": [1, 2]},
    }
    assert sorted(block["required"]) == ["mode", "share"]
    assert schema.compile(built, body_limit=1 << 20).inputs == {"img": 2, "sound": 1}


def test_line_42_wrapper_without_fields_has_documents() -> None:
    """ASF's loader died of it."""

    class Bare(WrapperBase):
        serviceId = "bare"

    compiled = schema.compile(json.loads(Bare().schema()), body_limit=1 << 20)
    assert (compiled.inputs, compiled.outputs) == ({}, {})
    old = json.loads(Bare().schema_legacy())
    assert old["meta"]["bare"] == {"input": {}, "accept": {}}
    assert old["schemainput"]["properties"]["payload"] == {"type": "object", "properties": {}}
    assert document.fields(Bare) == ([], [], [])
