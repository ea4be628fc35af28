"""Lines 34 and 35 of wrapper.md, chapter 14: what of an aiges.toml reaches `wrapperInit` and `params`."""

import json
from pathlib import Path

import pytest

from athena_serving import settings
from athena_serving.settings import Hosted, aiges

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT.parent / "shared" / "golden" / "aiges.default-init.toml"


def hosted(folder: Path, toml: str) -> Hosted:
    """The service of a folder with a wrapper.py and this aiges.toml."""
    (folder / "wrapper.py").touch()
    (folder / "aiges.toml").write_text(toml, encoding="utf-8")
    (one,) = settings.load([folder], config=None, environ={}, flags={}, cwd=folder).services
    return one


def test_line_34_values_of_wrapper_become_strings(tmp_path: Path) -> None:
    """The table of 4.4: strings as they are, integers decimal, true and false, floats shortest in 'f' form."""
    values = (
        "s = 'ä b'\ni = -7\nbig = 9223372036854775807\nhex = 0x10\nt = true\nf = false\nx = 0.1\ny = 2.0\nz = 1e-7\n"
    )
    assert hosted(tmp_path, f"[wrapper]\n{values}").wrapper == {
        "s": "ä b",
        "i": "-7",
        "big": "9223372036854775807",
        "hex": "16",
        "t": "true",
        "f": "false",
        "x": "0.1",
        "y": "2",
        "z": "0.0000001",
    }


def test_line_34_quoted_dotted_keys_stay_one_key(tmp_path: Path) -> None:
    """A quoted key is itself; a sub-table, which stopped ASF, is flattened to the same."""
    toml = '[wrapper]\n"log.level" = "info"\n"resource./a/b.bin" = "X"\n[wrapper.log]\ndir = "/log"\n'
    assert hosted(tmp_path, toml).wrapper == {"log.level": "info", "resource./a/b.bin": "X", "log.dir": "/log"}


def test_line_34_user_file_takes_the_place_of_wrapper(tmp_path: Path) -> None:
    """With `usrCfg` the wrapper gets `section.key` of that file, and nothing of [wrapper]."""
    (tmp_path / "user.toml").write_text("top = 1\n[model]\nname = 'x'\nbeam = 4\n[model.deep]\non = true\n")
    one = hosted(tmp_path, "[aiges]\nusrCfg = 'user.toml'\n[wrapper]\nhttp_listen = ':1'\nlost = 1\n")
    assert one.wrapper == {"top": "1", "model.name": "x", "model.beam": "4", "model.deep.on": "true"}
    assert one.origins["wrapper.model.beam"] == str(tmp_path / "user.toml")
    assert {remark.key for remark in one.remarks} == {"[wrapper]", "[wrapper].http_listen"}


def test_line_34_no_wrapper_section_is_an_empty_table(tmp_path: Path) -> None:
    """Without [wrapper], ASF's Python wrappers got {}."""
    assert hosted(tmp_path, "[fc]\nmax = 1\n").wrapper == {}


def test_line_34_address_is_read_from_wrapper(tmp_path: Path) -> None:
    """`http_listen` of [wrapper] is where the server listens, and the wrapper sees it too."""
    file = tmp_path / "aiges.toml"
    file.write_text("[wrapper]\nhttp_listen = '127.0.0.1:4321'\n")
    document = aiges.read(file, folder=tmp_path)
    found = {**aiges.for_service(document), **aiges.for_server(document, "svcName")}
    assert {name: one.value for name, one in found.items()} == {
        "wrapper.http_listen": "127.0.0.1:4321",
        "server.host": "127.0.0.1",
        "server.port": 4321,
    }


def test_line_35_names_come_from_both_places(tmp_path: Path) -> None:
    """`headerPass` and the lines of headerPass.wrapper are one list; doubles and the empty name are dropped."""
    (tmp_path / "headerPass.wrapper").write_text("request_id\n\nuid\n")
    one = hosted(tmp_path, "[aiges]\nheaderPass = 'uid; did;'\n")
    assert one.service.pass_headers == ("uid", "did", "request_id")
    files = (tmp_path / "aiges.toml", tmp_path / "headerPass.wrapper")
    assert one.origins["service.pass_headers"] == " and ".join(map(str, files))


def test_line_35_an_empty_list_passes_nothing(tmp_path: Path) -> None:
    """Where ASF made a parameter without a name, there is none."""
    one = hosted(tmp_path, "[aiges]\nheaderPass = ''\n")
    assert (one.service.pass_headers, one.origins["service.pass_headers"]) == ((), "default")


def test_default_file_has_no_key_that_nobody_explains(tmp_path: Path) -> None:
    """Every key of ASF's own default file has a meaning or a remark with a reason."""
    if not GOLDEN.exists():
        pytest.skip("the recorded file is not here")
    one = hosted(tmp_path, GOLDEN.read_text(encoding="utf-8"))
    assert "unknown" not in {remark.outcome for remark in one.remarks}
    assert (one.workers.seats, one.wrapper["common.lic"]) == (1, "10")


def test_every_outcome_is_in_the_migration_page() -> None:
    """docs/migration-asf.md has each key without effect and its reason, as the program says it."""
    page = (ROOT / "docs" / "migration-asf.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `[")]
    for name, outcome in aiges.OUTCOMES.items():
        section, _, key = name.partition(".")
        written = f"`[{section}].{key}`" if key else f"`[{section}]`"
        assert any(written in row and row.endswith(f"| {outcome} |") for row in rows), json.dumps([written, outcome])
