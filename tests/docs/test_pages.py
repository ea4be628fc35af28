"""What the documents say of names, codes and commands is what the code has; what they show runs."""

import importlib
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import click
import pytest

from athena_serving import errors
from athena_serving.cli.program import COMMANDS
from athena_serving.errors import AthenaError, UsageError
from athena_serving.gateway.meters import STAGES
from athena_serving.settings.catalogue import FLAGS
from athena_serving.supervisor.metrics import FAMILIES
from athena_serving.supervisor.places import State, Verdict
from athena_serving.wire.frames import HEADER, Kind
from tests.serving import Server, request_of

Kin = TypeVar("Kin", bound=AthenaError)

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
DECISIONS = sorted(ROOT.glob("docs/decisions/*.md"))


def page(name: str) -> str:
    """The text of a page in docs/."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def rows(text: str) -> dict[str, list[str]]:
    """The tables' rows whose first cell is in back quotes: the other cells by that name."""
    lines = (line for line in text.splitlines() if line.startswith("| `"))
    cells = ([cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in lines)
    return {first.strip("`"): rest for first, *rest in cells}


def part(text: str, heading: str) -> str:
    """What stands under a heading, to the next of its kind."""
    _, found, rest = text.partition(f"\n## {heading}\n")
    assert found, heading
    return rest.partition("\n## ")[0]


def tree(kind: type[Kin]) -> Iterator[type[Kin]]:
    """A class of errors.py and everything below it there."""
    if kind.__module__ == errors.__name__:
        yield kind
    for below in kind.__subclasses__():
        yield from tree(below)


# ── what must be complete ─────────────────────────────────────────────────────────────────────────


def test_every_error_has_its_row() -> None:
    """docs/errors.md gives class, code, HTTP status, retry and exit code as errors.py has them, and no others."""
    shown, usage = rows(part(page("errors.md"), "On the wire")), rows(part(page("errors.md"), "On the command line"))
    for kind in tree(AthenaError):
        if issubclass(kind, UsageError):
            assert usage.pop(kind.__name__)[0] == str(kind.exit_code)
        else:
            code, status, retry, meaning, *_ = shown.pop(kind.__name__)
            assert (code, status, retry) == (str(kind.code), str(kind.http), "yes" if kind.retry else "no")
            assert meaning
    assert not shown
    assert not usage


def test_every_metric_has_its_row() -> None:
    """docs/metrics.md has every family with its type and help, every stage, and no others."""
    text = page("metrics.md")
    assert rows(text.partition("\n## ")[0]) == {name: [kind, words] for name, (kind, words) in FAMILIES.items()}
    assert tuple(rows(part(text, "Stages of a call"))) == STAGES


def test_every_command_has_its_heading_and_flags() -> None:
    """docs/commands.md has a part for each command, which names each of its flags."""
    for name, module in COMMANDS.items():
        text = part(page("commands.md"), f"athena {name}")
        command = importlib.import_module(module).command
        options = [one for option in command.params if isinstance(option, click.Option) for one in option.opts]
        shared = "Takes the\nsame flags." in text
        missing = [flag for flag in options if flag not in text and not (shared and flag in FLAGS.values())]
        assert missing in ([], ["--config", "--set"] if shared else [])


def test_every_exit_code_of_an_error_is_listed() -> None:
    """docs/commands.md lists the exit codes that errors end the command with."""
    text = part(page("commands.md"), "Exit codes")
    for kind in tree(UsageError):
        assert f"| {kind.exit_code} |" in text


def test_states_and_reasons_of_workers_are_explained() -> None:
    """docs/workers.md has every state of a place and every reason of its end."""
    text = page("workers.md")
    assert {state.value for state in State} == set(rows(part(text, "States of a place")))
    assert [verdict.value for verdict in Verdict if f"`{verdict.value}`" not in text] == []


def test_frames_are_as_the_page_has_them() -> None:
    """docs/frames.md has every kind of frame with its number, and the header's fields in their sizes."""
    text = page("frames.md")
    for kind in Kind:
        assert f"| {kind.name} | {kind.value} |" in text
    sizes = re.findall(r"^\| (\d) \| [a-z ]+ \|", text, re.MULTILINE)
    assert [int(size) for size in sizes] == [4, 1, 1, 2, 8, 4]
    assert sum(int(size) for size in sizes) == HEADER.size


# ── what must hold together ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link of a page leads to a file or folder, and its fragment to a heading there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, fragment = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), target
        if fragment:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert fragment in {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}, target


def test_every_page_can_be_found_from_the_readme() -> None:
    """README.md links to each page of docs/, itself or by a page that it links to."""
    reached, new = set[Path](), {ROOT / "README.md"}
    while new:
        reached |= new
        texts = [(one, one.read_text(encoding="utf-8")) for one in new]
        links = {
            (one.parent / link.partition("#")[0]).resolve() for one, text in texts for link in markdown_links(text)
        }
        new = {link for link in links if link.is_file()} - reached
    assert set(ROOT.glob("docs/*.md")) <= reached


def markdown_links(text: str) -> list[str]:
    """The relative links to other pages."""
    return [link for link in re.findall(r"\]\(([^)\s]+\.md[^)\s]*)\)", text) if "://" not in link]


def test_both_readmes_say_the_same() -> None:
    """The Chinese README has the English one's commands, outputs and links, these to Chinese pages where there are."""
    english = (ROOT / "README.md").read_text(encoding="utf-8")
    chinese = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8").replace("](docs/zh/", "](docs/")
    for pattern in (r"^```\n.*?^```$", r"^    (?:make|\.venv|curl).*?(?=  +#|$)", r"\]\(((?!README)[^)]+)\)"):
        found = [re.findall(pattern, text, re.MULTILINE | re.DOTALL) for text in (english, chinese)]
        assert found[0] == found[1]
        assert found[0]


def test_decisions_are_numbered_dated_and_short() -> None:
    """A decision's file and title have one number, without gaps; it is dated and fits on a page."""
    for number, path in enumerate(DECISIONS, start=1):
        title, _, dated, *rest = path.read_text(encoding="utf-8").splitlines()
        assert path.name.startswith(f"{number:04}-")
        assert title.startswith(f"# {number:04} · ")
        assert re.match(r"\d{4}-\d\d-\d\d · ", dated)
        assert len(rest) < 60


def test_changelog_has_the_version() -> None:
    """CHANGELOG.md begins with the version of pyproject.toml."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert first is not None
    assert first[1] == version


# ── what must run ─────────────────────────────────────────────────────────────────────────────────


def test_wrapper_of_the_page_runs(tmp_path: Path) -> None:
    """The wrapper that docs/wrapper.md shows is served and does what the page says."""
    source = re.search(r"^```python\n(.*?)^```$", page("wrapper.md"), re.MULTILINE | re.DOTALL)
    assert source is not None
    with Server(tmp_path, source[1]) as server:
        document = request_of("words", "one fish two fish", key="text")
        document["parameter"]["words"]["least"] = 2
        answer = server.post("words", document)
        assert (answer.status_code, answer.json()["payload"]["counts"]["text"]) == (200, {"fish": 2})
        status, body = server.call("words", None)
        assert (status, body["header"]["message"]) == (502, "send a text;code=100")
        assert not server.log("the warm-up call failed")


def test_request_of_the_readme_is_answered(tmp_path: Path) -> None:
    """The request that README.md shows gets the answer that it shows, but for the sid."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    sent = re.search(r"-d '(\{.*?)'$", text, re.MULTILINE | re.DOTALL)
    shown = re.search(r"^(\{\"header\".*)$", text, re.MULTILINE)
    assert sent is not None
    assert shown is not None
    with Server(tmp_path, ROOT / "examples" / "01-echo") as server:
        answer = server.post("echo", json.loads(sent[1])).json()
    expected = json.loads(shown[1])
    answer["header"]["sid"] = expected["header"]["sid"]
    assert answer == expected
