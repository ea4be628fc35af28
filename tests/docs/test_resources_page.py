"""docs/resources.md: its wrapper, its setting and its request do what the page says."""

import json
import re
from pathlib import Path
from typing import Final

from athena_serving.settings.catalogue import CATALOGUE
from tests.docs.test_pages import page, part, rows
from tests.serving import Json, Server, text_of

PAGE: Final = page("resources.md")


def block(language: str) -> str:
    """The page's one block of a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def test_wrapper_of_the_page_runs(tmp_path: Path) -> None:
    """Served with the page's settings and file, it answers the page's request as the page says."""
    folder = tmp_path / "greet"
    (folder / "hot-words").mkdir(parents=True)
    (folder / "hot-words" / "anna.txt").write_text("dear Anna\n")
    (folder / "wrapper.py").write_text(block("python"))
    (folder / "athena.toml").write_text(block("toml"))
    sent = re.search(r"-d '(\{.*?\})'$", PAGE, re.MULTILINE | re.DOTALL)
    assert sent is not None
    document: Json = json.loads(sent[1])
    with Server(tmp_path, folder) as server:
        answer = server.post("greet", document)
        assert (answer.status_code, text_of(answer.json(), "greeting")) == (200, "Hello, dear Anna")
        document["header"]["patch_id"] = []
        assert text_of(server.post("greet", document).json(), "greeting") == "Hello, whoever you are"
        document["header"]["patch_id"] = ["nobody"]
        answer = server.post("greet", document)
        assert (answer.status_code, answer.json()["header"]["code"]) == (400, 10163)
        said = re.search(r"code 10163, `(.*?)` \|", PAGE)
        assert said is not None
        assert said[1] == answer.json()["header"]["message"]
        assert not server.log("the warm-up call failed")


def test_settings_are_those_of_the_code() -> None:
    """Each has its row with its default."""
    shown = {name: default for name, (default, _) in rows(part(PAGE, "Serving them")).items()}
    there = {name: setting for name, setting in CATALOGUE.items() if name.startswith("service.resources")}
    assert shown == {name: f"`{setting.kind.show(setting.default)}`" for name, setting in there.items()}
