"""Each page of docs/zh says what its English twin says, as far as a machine can tell: code, tables, headings, links."""

import re
from pathlib import Path
from typing import Final

import pytest

DOCS: Final = Path(__file__).parents[2] / "docs"
CHINESE: Final = sorted((DOCS / "zh").glob("*.md"))
BLOCK: Final = re.compile(r"^```.*?^```$|(?<=\n\n)(?: {4}[^\n]*\n)+", re.MULTILINE | re.DOTALL)
SPAN: Final = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
"""A run of back quotes up to the next run as long: code that has back quotes itself stands in two (CommonMark 6.1)."""
MUST_HAVE: Final = {
    "admission",
    "batches",
    "categories",
    "client",
    "commands",
    "compatibility",
    "demo",
    "errors",
    "http-api",
    "lifecycle",
    "metrics",
    "migration-asf",
    "migration-bentoml",
    "migration-litserve",
    "migration-torchserve",
    "mistakes",
    "nginx",
    "openapi",
    "page",
    "resources",
    "schema",
    "sdk",
    "sessions",
    "settings",
    "why",
    "workers",
    "wrapper",
}
"""Pages that a user reads and that have a Chinese version."""

every_page = pytest.mark.parametrize("path", CHINESE, ids=lambda path: path.stem)


def read(path: Path) -> str:
    """The text of a page."""
    return path.read_text(encoding="utf-8")


def english(path: Path) -> str:
    """The text of the English twin."""
    return read(DOCS / path.name)


def blocks(text: str) -> list[str]:
    """Fenced and indented blocks, in order."""
    return [one.rstrip() for one in BLOCK.findall(text + "\n")]


def prose(text: str) -> str:
    """The text without its blocks."""
    return BLOCK.sub("", text + "\n")


def spans(text: str) -> list[str]:
    """What stands in back quotes, sorted: the order of words within a sentence is the language's own."""
    return sorted(" ".join(code.split()) for _, code in SPAN.findall(text))


def table(text: str) -> list[list[list[str]]]:
    """Every row of every table, in order: the code of each cell."""
    lines = [line.strip("|") for line in prose(text).splitlines() if line.startswith("|")]
    return [[spans(cell) for cell in line.split(" | ")] for line in lines]


def targets(path: Path) -> list[str]:
    """The files that a page links to, Chinese twins counted as the English page; its own first line left out."""
    body = read(path).partition("\n")[2] if path.parent.name == "zh" else read(path)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", body) if "://" not in link]
    files = [(path.parent / link).resolve() if link else path for link in links]
    return sorted(str(file).replace(f"{DOCS}/zh/", f"{DOCS}/") for file in files)


def test_pages_that_users_read_are_there() -> None:
    """The pages of `MUST_HAVE` have a Chinese version, and no Chinese page is without its English one."""
    names = {path.stem for path in CHINESE}
    assert MUST_HAVE - names == set()
    assert [path.name for path in CHINESE if not (DOCS / path.name).exists()] == []


@every_page
def test_first_line_leads_to_the_english_page(path: Path) -> None:
    """The first line of a page is the link to its twin."""
    assert read(path).partition("\n")[0] == f"*[English](../{path.name})*"


@every_page
def test_code_blocks_are_the_same(path: Path) -> None:
    """Code, commands and outputs are those of the English page, letter for letter, in the same order."""
    assert blocks(read(path)) == blocks(english(path))


@every_page
def test_headings_are_as_many_and_as_deep(path: Path) -> None:
    """Both pages are divided alike."""
    mine, theirs = (re.findall(r"^(#+) ", prose(text), re.MULTILINE) for text in (read(path), english(path)))
    assert mine == theirs


@every_page
def test_code_in_tables_is_the_same(path: Path) -> None:
    """Tables have the same rows in the same order, and each cell the same code."""
    mine, theirs = table(read(path)), table(english(path))
    assert [(ours, other) for ours, other in zip(mine, theirs, strict=False) if ours != other] == []
    assert len(mine) == len(theirs)


@every_page
def test_code_in_sentences_is_the_same(path: Path) -> None:
    """Every name, number and setting in code that one page mentions the other mentions as well."""
    mine, theirs = set(spans(prose(read(path)))), set(spans(prose(english(path))))
    assert mine ^ theirs == set()


@every_page
def test_links_lead_to_the_same_pages(path: Path) -> None:
    """A page links to what its twin links to: to the Chinese version where there is one, else to the English."""
    assert targets(path) == targets(DOCS / path.name)
    english_links = [link.partition("#")[0] for link in re.findall(r"\]\(\.\./([\w-]+\.md[^)]*)\)", read(path))]
    missed = [link for link in english_links[1:] if (DOCS / "zh" / link).exists()]
    assert missed == []
