"""What counts as an edit of a service, and what does not."""

import importlib.util
import os
import py_compile
from pathlib import Path

import pytest

from athena_serving.supervisor import edits


def write(folder: Path, *names: str) -> None:
    """Files with their names in them."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)


def seen(folder: Path, *apart: Path) -> set[str]:
    """Names of the files that count."""
    return {str(path.relative_to(folder)) for path in edits.look(folder, apart).prints}


def test_code_schema_and_settings_count(tmp_path: Path) -> None:
    """At any depth; what programs write does not."""
    write(tmp_path, "wrapper.py", "a/b/c.py", "schema.json", "athena.toml", "aiges.toml")
    write(tmp_path, "weights.bin", "notes.json", ".hidden.py", "__pycache__/a.py", ".git/a.py", "logs/a.py")
    write(tmp_path, "outputs/a.py", "node_modules/a.py", "env/pyvenv.cfg", "env/lib/a.py")
    assert seen(tmp_path) == {"wrapper.py", "a/b/c.py", "schema.json", "athena.toml", "aiges.toml"}


def test_new_gone_and_changed_files_differ(tmp_path: Path) -> None:
    """By content: one that is written anew as it was does not."""
    write(tmp_path, "a.py", "b.py", "c.py", "d.py")
    before = edits.look(tmp_path)
    (tmp_path / "a.py").write_text("other")
    (tmp_path / "b.py").unlink()
    write(tmp_path, "c.py", "e.py")
    os.utime(tmp_path / "d.py", (1, 1))
    assert edits.look(tmp_path).differing(before) == {tmp_path / name for name in ("a.py", "b.py", "e.py")}


def test_other_services_files_are_theirs(tmp_path: Path) -> None:
    """One folder may hold two wrappers, or another service's folder."""
    write(tmp_path, "a.py", "b.py", "common.py", "other/wrapper.py")
    assert seen(tmp_path, tmp_path / "b.py", tmp_path / "other") == {"a.py", "common.py"}


def test_links_are_followed_and_watched_where_they_lead(tmp_path: Path) -> None:
    """To files, to folders, back to where we are, and to nothing."""
    write(tmp_path, "far/common.py", "pack/part.py", "service/wrapper.py")
    here = tmp_path / "service"
    (here / "common.py").symlink_to("../far/common.py")
    (here / "pack").symlink_to("../pack")
    (here / "loop").symlink_to(".")
    (here / "nothing.py").symlink_to("nowhere")
    sight = edits.look(here)
    assert {path.name for path in sight.prints} == {"wrapper.py", "common.py", "part.py"}
    assert {here, here / "pack", tmp_path / "far"} <= sight.folders


@pytest.mark.parametrize(
    ("name", "kind", "outcome"),
    [
        ("a.py", "gone", True),
        ("schema.json", "gone", True),
        ("out.wav", "gone", False),
        ("..data", "link", True),
        ("new", "folder", True),
        ("__pycache__", "folder", False),
        (".git", "folder", False),
        ("outputs", "folder", False),
    ],
)
def test_only_what_may_be_an_edit_is_looked_at(tmp_path: Path, name: str, kind: str, *, outcome: bool) -> None:
    """A wrapper that writes a file for every call costs nothing."""
    path = tmp_path / name
    if kind == "link":
        path.symlink_to(tmp_path)
    elif kind == "folder":
        path.mkdir()
    assert edits.matters(path) is outcome


def test_compiled_form_of_an_edited_file_goes(tmp_path: Path) -> None:
    """Python would take it for current; others, and what has none, are left alone."""
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("x = 1\n")
        py_compile.compile(str(tmp_path / name))
    edits.forget_compiled([tmp_path / "a.py", tmp_path / "none.py", tmp_path / "schema.json"])
    left = [Path(importlib.util.cache_from_source(str(tmp_path / name))).exists() for name in ("a.py", "b.py")]
    assert left == [False, True]
