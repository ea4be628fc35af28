"""examples/01-echo, served as its README says."""

import base64
from collections.abc import Callable

import httpx
import pytest


@pytest.fixture(scope="module")
def echo(serve: Callable[[str], httpx.Client]) -> httpx.Client:
    """A client of the running example."""
    return serve("01-echo")


def request(text: str, **accept: str) -> dict[str, object]:
    """A request that sends one text and says how the answer is wanted."""
    return {
        "header": {"app_id": "123456"},
        "parameter": {"echo": {"result": accept}},
        "payload": {"data": {"text": base64.b64encode(text.encode()).decode()}},
    }


def test_readme_request_is_answered(echo: httpx.Client) -> None:
    """The request of the README, without a parameter section, gives its text back in base64."""
    answer = echo.post(
        "/v1/private/echo", json={"header": {"app_id": "123456"}, "payload": {"data": {"text": "aGVsbG8="}}}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["header"]["code"] == 0
    assert answer.json()["payload"]["result"]["text"] == "aGVsbG8="


def test_any_text_comes_back_as_it_was(echo: httpx.Client) -> None:
    """Text beyond ASCII passes through the wrapper byte for byte."""
    text = "Grüße, 雅典娜, 🦉"
    answer = echo.post("/v1/private/echo", json=request(text, format="plain"))
    assert base64.b64decode(answer.json()["payload"]["result"]["text"]).decode() == text


def test_json_comes_back_parsed_when_asked(echo: httpx.Client) -> None:
    """With `format: json` an answer that is JSON is embedded, not encoded."""
    answer = echo.post("/v1/private/echo", json=request('{"owl": [1, 2.50]}', format="json"))
    assert answer.json()["payload"]["result"]["text"] == {"owl": [1, 2.5]}


def test_missing_text_is_answered_with_nothing(echo: httpx.Client) -> None:
    """A request without a payload is an empty echo, not an error of the wrapper."""
    answer = echo.post("/v1/private/echo", json={"header": {"app_id": "123456"}})
    assert answer.status_code == 200, answer.text
    assert answer.json()["payload"]["result"]["text"] == ""
