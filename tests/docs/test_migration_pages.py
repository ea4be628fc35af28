"""The pages for who comes from another framework: what they show of ours runs, with the page's settings and request."""

import ast
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests import debian
from tests.serving import Json, Server

DOCS: Final = Path(__file__).parents[2] / "docs"
FRAMEWORKS: Final = ("litserve", "bentoml", "torchserve")
HEADINGS: Final = ["There", "Here", "What becomes of what", "Not here yet", "What you gain"]
CALL_TIMEOUT: Final = 20.0  # seconds


def page(framework: str) -> str:
    """The text of a framework's page."""
    return (DOCS / f"migration-{framework}.md").read_text(encoding="utf-8")


def block(text: str, language: str) -> str:
    """The one block of a language under "Here"."""
    here = text.partition("\n## Here\n")[2].partition("\n## ")[0]
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", here, re.MULTILINE | re.DOTALL)
    return str(found)


def curl(command: str, url: str) -> Json:
    """What the page's command prints when it is sent to this server instead of the usual port."""
    words = shlex.split(command.replace("http://127.0.0.1:1888", url))
    assert words[0] == "curl"
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--noproxy", "*", *words[1:]],
        capture_output=True,
        check=True,
        text=True,
        timeout=CALL_TIMEOUT,
    )
    answer: Json = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_wrapper_of_the_page_answers_its_request(framework: str, tmp_path: Path) -> None:
    """The page's wrapper.py, with its athena.toml, answers the page's curl as the page says, but for the sid."""
    debian.program("curl", "curl")
    text = page(framework)
    (tmp_path / "wrapper.py").write_text(block(text, "python"), encoding="utf-8")
    (tmp_path / "athena.toml").write_text(block(text, "toml"), encoding="utf-8")
    expected: Json = json.loads(block(text, "json"))
    with Server(tmp_path, tmp_path / "wrapper.py") as server:
        answer = curl(block(text, "sh"), server.url)
        answer["header"]["sid"] = expected["header"]["sid"]
        assert answer == expected
        assert len(server.workers()) == 2
        assert not server.log("the warm-up call failed")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_wrapper_of_the_page_says_what_is_missing(framework: str, tmp_path: Path) -> None:
    """The page's wrapper answers a call without its input with words of its own, not with a traceback."""
    text = page(framework)
    (tmp_path / "wrapper.py").write_text(block(text, "python"), encoding="utf-8")
    (tmp_path / "athena.toml").write_text(block(text, "toml"), encoding="utf-8")
    service = re.search(r'serviceId = "(\w+)"', text)
    assert service is not None
    with Server(tmp_path, tmp_path / "wrapper.py") as server:
        status, body = server.call(service[1], None)
    assert status == 502
    assert re.fullmatch(r"send a \w+;code=100", body["header"]["message"])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_page_has_both_sides(framework: str) -> None:
    """A page has the framework's own code, which is Python, ours, the table and what is missing, in this order."""
    text = page(framework)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    for source in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        ast.parse(source)
    there = text.partition("\n## Here\n")[0]
    assert {"torchserve": "BaseHandler", "bentoml": "@bentoml.api", "litserve": "LitAPI"}[framework] in there
