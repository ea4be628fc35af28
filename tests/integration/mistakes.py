"""docs/mistakes.md as the tests read it: for each mistake, the words that a person must find in what was said."""

import re
from pathlib import Path
from typing import Final, NamedTuple

PAGE: Final = Path(__file__).parents[2] / "docs" / "mistakes.md"


class Row(NamedTuple):
    """One mistake of the page."""

    words: tuple[str, ...]
    """What the page says one sees: every part in back quotes, `…` for what differs from case to case."""
    remedy: str


def rows() -> dict[str, Row]:
    """The page's mistakes by what it calls them."""
    found: dict[str, Row] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("| ") or cells[0] == "mistake":
            continue
        name, seen, remedy = cells
        assert name not in found, f"{name} stands twice"
        found[name] = Row(tuple(re.findall(r"``? ?(.+?) ?``?(?!`)", seen)), remedy)
    return found


def assert_told(mistake: str, said: str) -> None:
    """What was said has all the words of the page's row, and the page a remedy for it."""
    row = rows()[mistake]
    assert row.words, mistake
    assert row.remedy, mistake
    for words in row.words:
        assert re.search(".*".join(map(re.escape, words.split("…"))), said), f"{mistake}: no {words!r} in\n{said}"
