"""What a run leaves in the documents: a chart and the tables between two marks, in both languages."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from benchmarks import cases, chart, environments, published, report
from benchmarks.errors import BenchError
from benchmarks.published import BEGIN, CHINESE, END, ENGLISH, Words
from benchmarks.rounds import Plan
from benchmarks.servers import SERVERS

from tests.benchmarks.reports import full

NAMES = [server.name for server in SERVERS]
LANGUAGES = pytest.mark.parametrize("words", [ENGLISH, CHINESE], ids=["English", "Chinese"])
PNG = b"\x89PNG\r\n\x1a\n"


@LANGUAGES
def test_a_page_has_a_place_for_the_results(words: Words) -> None:
    """Both marks stand once and in order, and the chart is linked to where it is drawn."""
    text = words.page.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert text.index(BEGIN) < text.index(END)
    target = words.chart.partition("](")[2].rstrip(")")
    assert (words.page.parent / target).resolve() == published.CHART.resolve()


@LANGUAGES
def test_only_what_stands_between_the_marks_is_replaced(
    words: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words of the page stay, the old results go, and writing twice changes nothing more."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\n\nold\n\n{END}\n\nafter\n", encoding="utf-8")
    monkeypatch.setattr(published, "ENGLISH", replace(words, page=page))
    monkeypatch.setattr(published, "CHINESE", replace(words, page=page))
    published.write(full())
    once = page.read_text(encoding="utf-8")
    published.write(full())
    assert page.read_text(encoding="utf-8") == once
    assert once.startswith(f"before\n\n{BEGIN}\n\n2026-01-02")
    assert once.endswith(f"\n\n{END}\n\nafter\n")
    assert "old" not in once.splitlines()


@LANGUAGES
def test_the_table_has_every_row_and_says_who_has_no_part(words: Words) -> None:
    """Each line has as many cells as the head; servers without WebSocket are named in the table."""
    lines = [line for line in published.block(full(), words).splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    table = [row for row in cells if len(row) == len(words.table)]
    assert [row for row in table if row[:2] == ["`chunks-ws at 16`", "mosec, litserve, bentoml"]]
    assert {row[0].strip("`") for row in table} == {case.name for case in cases.every_case()}
    assert all(len(row) == len(words.aims) for row in cells if row not in table)


def test_a_page_without_its_marks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written where no place was left for it."""
    page = tmp_path / "page.md"
    page.write_text("words\n")
    monkeypatch.setattr(published, "ENGLISH", replace(ENGLISH, page=page))
    with pytest.raises(BenchError, match=r"page\.md has no place"):
        published.write(full())


def test_documents_show_only_whole_runs() -> None:
    """A quick or partial run, and one with errors, is named as what it is."""
    whole, every = full(), cases.every_case()
    quick = msgspec.structs.replace(whole, plan=Plan(rounds=1, seconds=2))
    partial = msgspec.structs.replace(whole, cases={"echo at 1": "echo"})
    failed = msgspec.structs.replace(whole, rows=[msgspec.structs.replace(whole.rows[0], errors=1)])
    assert published.why_not(whole, every, NAMES, Plan()) == ""
    assert published.why_not(quick, every, NAMES, Plan()) == "fewer than 3 rounds of 5 s"
    assert "image at 8" in published.why_not(partial, every, NAMES, Plan())
    assert published.why_not(failed, every, NAMES, Plan()) == "there were errors"


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    """`draw` shows a stored run without loss; what is no report is refused by name."""
    path = tmp_path / "run.json"
    path.write_bytes(msgspec.json.encode(full()))
    assert report.read(path) == full()
    path.write_text("{}")
    with pytest.raises(BenchError, match=r"run\.json is no report"):
        report.read(path)
    with pytest.raises(BenchError, match="no report"):
        report.read(tmp_path / "absent.json")


def test_a_chart_shows_peers_and_leaves_out_what_has_none() -> None:
    """Ratios by case and peer; a case that only Athena has needs no bar."""
    drawn = chart.of(full())
    assert drawn.servers == ["fastapi", "mosec", "litserve", "bentoml"]
    assert not [group for group in drawn.groups if group.name.startswith("audio")]
    assert [bar.ratio for bar in drawn.groups[0].bars] == [1.6, pytest.approx(8 / 9), 10.0, 32.0]


def test_the_chart_is_a_picture(tmp_path: Path) -> None:
    """What is drawn is a PNG of some size under each path."""
    if not environments.is_made(chart.ENVIRONMENT):
        pytest.skip("the environment of the chart is not made: python -m benchmarks setup")
    paths = [tmp_path / "one.png", tmp_path / "two.png"]
    assert chart.draw(full(), *paths)
    pictures = [path.read_bytes() for path in paths]
    assert pictures[0] == pictures[1]
    assert pictures[0].startswith(PNG)
    assert int.from_bytes(pictures[0][16:20]) > 1000
