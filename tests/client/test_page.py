"""docs/client.md says what is there, and its example runs."""

import re
from pathlib import Path

import pytest

from athena_serving import client
from athena_serving.client import CallError
from tests.serving import ECHO, Server

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf-8")

OCR = """
from athena_serving.sdk import ImageBodyField, JsonBodyField, Response, ResponseData, StringParamField, WrapperBase


class Wrapper(WrapperBase):
    serviceId = "ocr"

    class requestCls:
        image = ImageBodyField(key="image")
        language = StringParamField(key="language", required=True)

    class responseCls:
        boxes = JsonBodyField(key="boxes")

    def wrapperOnceExec(self, params, reqData):
        return Response([ResponseData(key="boxes", data='["%s"]' % reqData.get("image").data.decode())])
"""


def test_every_name_and_error_is_on_the_page() -> None:
    """Each public name is mentioned, and each error has its row."""
    for name in client.__all__:
        assert f"`{name}`" in PAGE or f"`{name}(" in PAGE, name
        kind = getattr(client, name)
        if issubclass(kind, CallError) and kind is not CallError:
            assert f"\n| `{name}` |" in PAGE


def test_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With two services and a file as it names them."""
    source = re.search(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert source is not None
    (tmp_path / "page.jpg").write_bytes(b"page")
    monkeypatch.chdir(tmp_path)
    with Server(tmp_path, [ECHO, OCR]) as server:
        exec(source[1].replace("http://127.0.0.1:1888", server.url), {})  # noqa: S102  # our own page
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("hello ase")
    assert second == "['page']"
