"""docs/compatibility.md says what the tests of compatibility hold: the cases, the deviations, the translations."""

import re
from pathlib import Path
from typing import Final

from tests.compat import (
    test_gateway_cases,
    test_golden_gateway,
    test_golden_loader,
    test_golden_websocket,
    test_websocket_cases,
)

PAGE: Final = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text(encoding="utf-8")
LINES: Final = PAGE.splitlines()
CASES: Final = [*(f"G{number}" for number in range(1, 49)), *(f"W{number}" for number in range(1, 25))]
FAULTS: Final = range(1, 12)
"""Security faults of ASF (http-api.md 11.1)."""


def deviation_rows() -> list[str]:
    """The rows of the recorded gateway as the page has them: recordings that differ for one reason share one."""
    names: dict[str, list[str]] = {}
    for recording, one in test_golden_gateway.DEVIATIONS.items():
        names.setdefault(one.why, []).append(f"`{recording}`")
    for session, other in test_golden_websocket.DEVIATIONS.items():
        names.setdefault(other.why, []).append(f"`{session}`")
    return [f"| {', '.join(those)} | {why} |" for why, those in names.items()]


def test_every_case_has_a_row_and_a_test() -> None:
    """The page has every case once and in order, and each has a test named after it, or a case of one."""
    assert re.findall(r"^\| ([GW]\d+) \| [^|]+ \| [^|]+ \|$", PAGE, re.MULTILINE) == CASES
    source = Path(test_gateway_cases.__file__).read_text(encoding="utf-8")
    tested = {f"G{int(number)}" for number in re.findall(r'(?:_|id=")g(\d\d)(?!\d)', source)}
    source = Path(test_websocket_cases.__file__).read_text(encoding="utf-8")
    tested |= {f"W{number}" for number in re.findall(r"^def test_w(\d+)_", source, re.MULTILINE)}
    assert tested == set(CASES)


def test_every_deviation_of_the_recorded_gateway_has_its_row() -> None:
    """The page tells of the very differences that the replay expects, and why."""
    assert table("| recordings | what differs |") == deviation_rows()


def test_every_translated_request_has_its_row() -> None:
    """The page has what the loader and we answer to each recorded request, as the replay found it."""
    assert table("| recordings | loader | here | why |") == [row.line() for row in test_golden_loader.ROWS]


def test_every_translated_session_has_its_row() -> None:
    """The page has what is heard of the loader and of us in each recorded session, as the replay found it."""
    assert table("| sessions | loader | here | why |") == [row.line() for row in test_golden_websocket.ROWS]


def test_every_security_fault_has_its_row() -> None:
    """The page says of each known fault what became of it."""
    assert re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE) == [str(number) for number in FAULTS]


def test_every_row_is_whole() -> None:
    """A row has as many cells as its table's head."""
    width = 0
    for line in LINES:
        if not line.startswith("|"):
            width = 0
            continue
        width = width or line.count(" | ")
        assert line.count(" | ") == width or line.startswith("|---"), line
        assert line.endswith("|"), line
        assert "| |" not in line.removeprefix("| |"), f"a cell is empty: {line}"


def table(head: str) -> list[str]:
    """The rows under the head of a table."""
    start = LINES.index(head) + 2
    stop = next(at for at in range(start, len(LINES) + 1) if at == len(LINES) or not LINES[at].startswith("|"))
    return LINES[start:stop]
