"""The document of ASF's first generator, to the letter (wrapper.md 9.2)."""

import json
from pathlib import Path
from typing import Final

import pytest

from athena_serving.sdk import (
    AudioBodyField,
    BooleanParamField,
    ImageBodyField,
    IntegerParamField,
    JsonBodyField,
    NumberParamField,
    StringBodyField,
    StringParamField,
    WrapperBase,
    legacy,
)

GOLDEN: Final = Path(__file__).parents[3] / "shared/golden/schema"


class Request:
    """One of each, out of order."""

    sound = AudioBodyField("sound")
    free = StringParamField("free", minLength=3, maxLength=7, description="d", title="t")
    count = IntegerParamField("count", enums=[1, 2], minimum=1, required=True)
    text = JsonBodyField("text")
    ratio = NumberParamField("ratio", maximum=0.5)
    flag = BooleanParamField("flag", required=True)


class Answer:
    """A sound and a picture."""

    accept1 = AudioBodyField("spoken")
    accept2 = ImageBodyField("drawn")


class Wrapper(WrapperBase):
    """A service of these."""

    serviceId = "all"
    version = "v2"
    requestCls = Request()
    responseCls = Answer()


def test_every_form_of_parameter() -> None:
    """Choices or the upper bound; words and lower bounds are left out."""
    built = json.loads(legacy.text(Wrapper))
    assert built["schemainput"]["properties"]["parameter"]["properties"]["all"] == {
        "type": "object",
        "properties": {
            "free": {"type": "string", "maxLength": 7},
            "count": {"type": "integer", "enum": [1, 2]},
            "ratio": {"type": "number", "maximum": 0.5},
            "flag": {"type": "boolean", "default": False},
        },
        "required": ["count", "flag"],
    }


def test_every_form_of_block() -> None:
    """The same for inputs and outputs; JSON is text."""
    built = json.loads(legacy.text(Wrapper))
    inputs = built["schemainput"]["properties"]["payload"]["properties"]
    outputs = built["schemaoutput"]["properties"]["payload"]["properties"]
    assert inputs["sound"] == outputs["spoken"]
    assert inputs["sound"]["properties"] == {
        "encoding": {"type": "string", "enum": ["opus", "speex"]},
        "sample_rate": {"type": "integer", "enum": [8000, 16000]},
        "bit_depth": {"type": "integer", "enum": [8, 16]},
        "channels": {"type": "integer", "enum": [1, 2]},
        "status": {"type": "integer", "enum": [0, 1, 2, 3]},
        "seq": {"type": "integer"},
        "audio": {"type": "string"},
    }
    assert inputs["text"]["properties"]["compress"] == {"type": "string", "enum": ["gzip"]}
    assert outputs["drawn"]["properties"]["status"] == {"type": "integer", "enum": [3]}
    assert built["meta"]["all"]["input"] == {"sound": {"dataType": "audio"}, "text": {"dataType": "text"}}
    assert built["meta"]["route"] == "/v2/private/all"


def test_documents_do_not_share_their_parts() -> None:
    """Whoever changes one changes one."""
    first = legacy.build(Wrapper)
    json.dumps(first)
    first.clear()
    assert legacy.build(Wrapper)["meta"]


@pytest.mark.parametrize("name", ["schema_legacy_sdk0.15.json", "schema_legacy_sdk0.16.json"])
def test_recorded_document_is_made_again(name: str) -> None:
    """What ASF's SDK made of the wrapper that its traffic was recorded with."""
    if not (GOLDEN / name).exists():
        pytest.skip("no recorded documents here")

    class EchoRequest:
        text_in = StringBodyField("text_in")
        img_in = ImageBodyField("img_in")
        ctrl = StringParamField("ctrl")
        sleep_ms = StringParamField("sleep_ms")

    class EchoAnswer:
        accept1 = StringBodyField("result")

    class Echo(WrapperBase):
        serviceId = "svcName"
        version = "v1"
        requestCls = EchoRequest()
        responseCls = EchoAnswer()

    recorded = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    assert json.dumps(json.loads(Echo().schema_legacy())) == json.dumps(recorded)
