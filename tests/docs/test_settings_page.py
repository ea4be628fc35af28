"""docs/settings.md says of every setting what the code does."""

import ast
import re
from pathlib import Path

import pytest

from athena_serving.settings import groups
from athena_serving.settings.catalogue import CATALOGUE, FLAGS, FOREIGN_VARIABLES, LATER, SECTIONS, Setting

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")


def rows(section: str) -> dict[str, list[str]]:
    """The cells of each row of a section's table, by the setting's key."""
    _, _, rest = PAGE.partition(f"\n## [{section}]\n")
    lines = rest.partition("\n## ")[0].splitlines()
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `"))
    return {first.strip("`"): rest for first, *rest in cells}


def reasons() -> dict[str, str]:
    """The docstring under each field of the groups, by the setting's name."""
    sections = {group.__name__: section for section, group in SECTIONS.items()}
    found = {}
    for node in ast.parse(Path(groups.__file__).read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.ClassDef) or node.name not in sections:
            continue
        for field, words in zip(node.body, node.body[1:], strict=False):
            match field, words:
                case ast.AnnAssign(target=ast.Name(id=key)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[f"{sections[node.name]}.{key}"] = " ".join(text.split())
    return found


FIELDS = [setting for setting in CATALOGUE.values() if setting.section]


@pytest.mark.parametrize("setting", FIELDS, ids=lambda setting: setting.name)
def test_every_setting_has_its_row(setting: Setting) -> None:
    """A field's row gives its default, unit, variable, flag and reason, as the code has them."""
    default, unit, variable, flag, reason = rows(setting.section)[setting.key]
    assert default.strip("`") == setting.kind.show(setting.default)
    assert unit == setting.kind.unit
    assert variable.strip("`") == setting.environ + ("NAME" if setting.is_open else "")
    assert flag.strip("`") == FLAGS.get(setting.name, "")
    assert reason == reasons()[setting.name]


def test_no_row_without_a_setting() -> None:
    """The page names no setting that does not exist."""
    named = {f"{section}.{key}" for section in SECTIONS for key in rows(section)}
    assert named == {setting.name for setting in FIELDS}


def test_open_table_and_variables_are_documented() -> None:
    """[wrapper], the variables that are no settings, and the sections of later versions have their words."""
    assert "\n## [wrapper]\n" in PAGE
    assert all(f"| `{variable}` |" in PAGE for variable in FOREIGN_VARIABLES)
    assert all(re.search(rf"`\[\[?{section}\]\]?`", PAGE) for section in LATER)
