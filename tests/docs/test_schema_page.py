"""docs/schema.md has every keyword of the dialect, and each of its examples is what the code does."""

import json
import re

import pytest

from athena_serving.wire import dialect, functions, rules, schema, steps
from tests.docs.test_pages import page, part

PAGE = page("schema.md")


def _table(text: str, first: str) -> dict[str, list[str]]:
    """The rows of the table whose head begins so: cells by the name in the first one."""
    lines = text.partition(f"\n| {first} |")[2].partition("\n\n")[0].splitlines()[2:]
    rows = ([cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines)
    return {name.strip("`"): cells for name, *cells in rows}


CHECKS = _table(part(PAGE, "What is checked"), "keyword")
CHANGES = _table(part(PAGE, "What is changed"), "keyword")
FUNCTIONS = _table(part(PAGE, "What is changed"), "function")


def _code(cell: str) -> object:
    found: object = json.loads(cell.strip("`"))
    return found


def _compiled(node: object) -> schema.Schema:
    root = {"children": {"a": node}, "$defs": {"word": {"type": "string"}}}
    return schema.compile({"meta": {"serviceId": "s"}, "schemainput": root}, body_limit=1000)


def test_every_keyword_has_its_row() -> None:
    """One row each: those that check, in one table, those that change, in the other."""
    assert CHECKS.keys() | CHANGES.keys() == dialect.KEYWORDS.keys()
    assert CHANGES.keys() == steps.KEYWORDS - {"default"}
    ignored = part(PAGE, "What is checked").partition("check nothing")[0].rpartition("\n\n")[2]
    assert set(re.findall(r"`([^`]+)`", ignored)) == dialect.IGNORED


def test_every_format_and_function_is_named() -> None:
    """In the paragraph of formats, and one row for a function."""
    formats = part(PAGE, "What is checked").partition("**Formats**")[2].partition("\n\n")[0]
    assert tuple(re.findall(r"`([^`]+)`", formats)) == tuple(rules.FORMATS)
    assert FUNCTIONS.keys() == {f"${name}" for name in (*functions.FUNCTIONS, "delete")}


@pytest.mark.parametrize("keyword", [name for name, cells in CHECKS.items() if cells[3]])
def test_example_is_refused_with_these_words(keyword: str) -> None:
    """The row's value, by the row's schema."""
    where, means, _, example, value, words = CHECKS[keyword]
    assert where in ("yes", "ours")
    assert means
    assert keyword in json.dumps(_code(example))
    problems = _compiled(_code(example)).check({"a": _code(value)})
    assert [problem.message for problem in problems] == [words]


@pytest.mark.parametrize("keyword", CHECKS)
def test_keyword_becomes_what_is_said(keyword: str) -> None:
    """The standard keywords that it is compiled to."""
    _, _, becomes, example, *_ = CHECKS[keyword]
    node = _code(example) if example else {keyword: {}}
    assert isinstance(node, dict)
    if keyword == "$ref":
        node = {"$ref": "#/$defs/word"}
    compiler = dialect.Compiler({"$defs": {"word": {}}}, is_exact=True)
    only = dialect.KEYWORDS[keyword](compiler, node, ("schemainput", keyword))
    if keyword == "properties":
        only = compiler.compile(node)
    assert set(re.findall(r"`([^`]+)`", becomes)) == only.keys()


@pytest.mark.parametrize("keyword", CHANGES)
def test_example_changes_the_request_as_shown(keyword: str) -> None:
    """Before and after."""
    *_, example, before, after = CHANGES[keyword]
    assert keyword in example
    request = {"a": _code(before)}
    _compiled(_code(example)).fill(request)
    assert request == {"a": _code(after)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_makes_what_is_shown(name: str) -> None:
    """For the row's arguments."""
    example, made = FUNCTIONS[name]
    assert json.dumps(functions.value(_code(example), ())({"x": 1})) == made.strip("`")


def test_first_example_compiles() -> None:
    """The document that the page begins with."""
    shown = PAGE.partition("```json\n")[2].partition("```")[0]
    one = schema.compile(json.loads(shown), body_limit=1000)
    assert (one.inputs, one.outputs, one.defaults) == ({"data": 2}, {"boxes": 0}, {"boxes": {"format": "json"}})
    assert one.is_liftable
