# ruff: noqa: ARG002, ARG005  # wrappers' methods have the parameters they have
"""Personal resources: loaded once before the calls that ask for them, numbered, held, unloaded; ids are never paths."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from athena_serving.errors import CreateFailed, OnceFailed, WrapperNotLoadable
from athena_serving.sdk import DataListCls, WrapperBase
from athena_serving.sdk.context import Context, current
from athena_serving.wire.messages import Call, Reply
from athena_serving.worker import resources
from athena_serving.worker.adapt import Adapter
from athena_serving.worker.failures import Failures
from athena_serving.worker.resources import NOTHING, Folder, Hold, Resources
from tests.wire.calls import call

UNKNOWN: Final = 10163


class Voices(WrapperBase):
    """Says what it was told to load and unload, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.nodes: list[Any] = []
        self.answer: object = 0

    def wrapperLoadRes(self, reqData: DataListCls, patch_id: str) -> Any:
        """Keeps what it gets."""
        self.told.append(f"load {patch_id}")
        self.nodes += reqData.list
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def wrapperUnloadRes(self, patch_id: str) -> Any:
        """Takes note."""
        self.told.append(f"unload {patch_id}")
        return 0

    def wrapperError(self, code: int) -> str:
        """Every code has its words."""
        return f"error {code}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Resources u1 to u5, and what is none: a hidden file, a folder, a secret outside."""
    place = tmp_path / "voices"
    (place / "inner").mkdir(parents=True)
    for name in ("u1", "u2", "u3", "u4", "u5"):
        (place / f"{name}.txt").write_text(f"words of {name}")
    (place / ".hidden.txt").write_text("hidden")
    (place / "inner" / "deep.txt").write_text("deep")
    (tmp_path / "secret.txt").write_text("secret")
    return place


def made(wrapper: object, folder: Path, most: int = 64, *, is_old: bool = False) -> Resources:
    """The resources of a wrapper."""
    return Resources(wrapper, Failures(wrapper, __file__), folder, most, is_old=is_old)


def asking(ids: str, member: str = "patch_id", *, sid: str = "sid-1") -> Call:
    """A call for resources."""
    one = call(sid)
    one.headers = {member: ids}
    return one


def context(sid: str = "sid-1") -> Context:
    """A call's."""
    return Context(sid, app="app", service="service", expires=1e9)


def held(them: Resources, ids: str, member: str = "patch_id") -> Hold:
    """What a call holds, which must be had."""
    found = them.hold(asking(ids, member), context(), OnceFailed)
    assert isinstance(found, Hold), found
    return found


def used(them: Resources, ids: str) -> tuple[int, ...]:
    """The numbers that a call had, which is over."""
    with held(them, ids) as persons:
        return persons


def refused(them: Resources, ids: str, member: str = "patch_id") -> Reply:
    """Why a call gets nothing."""
    found = them.hold(asking(ids, member), context(), OnceFailed)
    assert isinstance(found, Reply)
    return found


# ── what a call asks for ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, ("", ())),
        ({"patch_id": "", "res_id": ";;"}, ("", ())),
        ({"patch_id": "u1"}, ("patch_id", ("u1",))),
        ({"patch_id": "u2;u1;;u2;"}, ("patch_id", ("u2", "u1"))),
        ({"res_id": "u1;u2"}, ("res_id", ("u1", "u2"))),
        ({"patch_id": "", "res_id": "u1"}, ("res_id", ("u1",))),
        ({"patch_id": "u1", "res_id": "u2"}, ("patch_id", ("u1",))),
        ({"patch_id": "热词; u1"}, ("patch_id", ("热词", " u1"))),
    ],
)
def test_ids_are_those_of_the_header(headers: dict[str, str], found: object) -> None:
    """`patch_id` counts, `res_id` where it is empty; each id once, in order."""
    assert resources.wanted(headers) == found


def test_call_without_ids_loads_nothing(folder: Path) -> None:
    """It holds nothing, and the folder is not looked at."""
    folder.rename(folder.with_name("elsewhere"))
    assert made(Voices(), folder).hold(call(), context(), OnceFailed) is NOTHING


def test_resource_is_loaded_once_with_its_bytes_and_number(folder: Path) -> None:
    """The load has key, bytes, status and `desc`, `patch_id` first; the second call has the first one's number."""
    wrapper = Voices()
    them = made(wrapper, folder)
    assert (used(them, "u2"), used(them, "u1"), used(them, "u1;u2"), used(them, "u2")) == ((1,), (2,), (2, 1), (1,))
    assert wrapper.told == ["load u2", "load u1"]
    node = wrapper.nodes[0]
    assert (node.key, node.data, node.type, node.status) == ("u2", b"words of u2", 0, 2)
    assert [*node.desc.items()] == [("patch_id", "u2"), ("persId", "1"), ("file", "u2.txt")]


def test_functions_get_dicts(folder: Path) -> None:
    """ASF's first style has a tuple of dicts there too."""
    got: list[Any] = []
    wrapper = SimpleNamespace(wrapperLoadRes=lambda perData, resId: got.append((perData, resId)))
    used(made(wrapper, folder, is_old=True), "u1")
    ((nodes, name),) = got
    assert (nodes[0]["key"], nodes[0]["data"], nodes[0]["len"], name) == ("u1", b"words of u1", 11, "u1")


def test_load_is_part_of_the_call(folder: Path) -> None:
    """`current()` is the call whose resource is loaded, for its log lines."""
    sids: list[str] = []
    used(made(SimpleNamespace(wrapperLoadRes=lambda _data, _id: sids.append(current().sid)), folder), "u1")
    assert sids == ["sid-1"]


@pytest.mark.parametrize("wrapper", [WrapperBase(), SimpleNamespace(wrapperUnloadRes=lambda resId: 1 / 0)])
def test_wrapper_without_a_method_for_it_gets_the_numbers(wrapper: object, folder: Path) -> None:
    """Ids are checked and numbered all the same; what was never loaded is not unloaded."""
    them = made(wrapper, folder)
    assert (used(them, "u1"), used(them, "u2;u1")) == ((1,), (2, 1))
    assert refused(them, "u9").code == UNKNOWN
    them.close()


# ── ids that are none ─────────────────────────────────────────────────────────────────────────────

HOSTILE: Final = [
    *("../secret", "../secret.txt", "..", ".", "/", "/etc/passwd", "inner", "inner/deep", "a/b", "a\\b", "u1.txt"),
    *(".hidden", ".hidden.txt", "hidden", "u1\0", "\0", "U1", "u1 ", " u1", "*", "u?", "%2e%2e%2fsecret", "\ud800"),
    *("x" * 10_240, "../" * 3_000 + "etc/passwd", "u1\nu2", "~", "$HOME", "-"),
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_hostile_id_is_the_callers_fault(hostile: str, folder: Path) -> None:
    """It names nothing, whatever is in it: 10163 with a short message that can be sent; nothing is loaded."""
    wrapper = Voices()
    them = made(wrapper, folder)
    for ids in (hostile, f"u1;{hostile}", f"{hostile};u1"):
        reply = refused(them, ids)
        assert reply.code == UNKNOWN
        assert reply.message.startswith("'$.header.patch_id' names no resource of the service: ")
        assert reply.message.endswith("; ")
        assert len(reply.message.encode()) < 500
    assert wrapper.told == []


def test_message_names_the_member_and_the_id(folder: Path) -> None:
    """So the caller knows what to mend."""
    assert refused(made(Voices(), folder), "热词", "res_id").message == (
        "'$.header.res_id' names no resource of the service: '热词'; "
    )


def test_links_count_only_within_the_folder(folder: Path) -> None:
    """A link to a file of the folder is a resource, one that leads outside, nowhere or in a circle is none."""
    inside, outside = folder / "inside.txt", folder / "outside.txt"
    inside.symlink_to("inner/deep.txt")
    outside.symlink_to("../secret.txt")
    (folder / "nowhere.txt").symlink_to("gone.txt")
    (folder / "circle.txt").symlink_to("circle.txt")
    (folder / "upwards").symlink_to("..")
    wrapper = Voices()
    them = made(wrapper, folder)
    assert used(them, "inside") == (1,)
    assert [bytes(node.data) for node in wrapper.nodes] == [b"deep"]
    assert {refused(them, name).code for name in ("outside", "nowhere", "circle", "upwards", "secret")} == {UNKNOWN}


def test_mounted_volume_is_followed(folder: Path) -> None:
    """As Kubernetes mounts it: links to a hidden folder, which is itself a link that turns to a new one."""
    for day in ("..day-1", "..day-2"):
        (folder / day).mkdir()
        (folder / day / "hot.txt").write_text(day)
    (folder / "..data").symlink_to("..day-1")
    (folder / "hot.txt").symlink_to("..data/hot.txt")
    wrapper = Voices()
    them = made(wrapper, folder)
    used(them, "hot")
    (folder / "..new").symlink_to("..day-2")
    (folder / "..new").rename(folder / "..data")
    used(them, "hot")
    assert wrapper.told == ["load hot", "unload hot", "load hot"]
    assert [bytes(node.data) for node in wrapper.nodes] == [b"..day-1", b"..day-2"]


def test_two_files_of_one_id_are_told_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The first by name counts, and the log has the other."""
    (folder / "u1.bin").write_bytes(b"other")
    wrapper = Voices()
    used(made(wrapper, folder), "u1")
    assert bytes(wrapper.nodes[0].data) == b"other"
    assert "resource 'u1' is u1.bin; u1.txt has the same id and is left out" in caplog.text


def test_more_ids_than_may_be_loaded_are_refused(folder: Path) -> None:
    """A caller cannot have the bound broken by one call."""
    wrapper = Voices()
    reply = refused(made(wrapper, folder, 2), "u1;u2;u3")
    assert (reply.code, wrapper.told) == (UNKNOWN, [])
    assert reply.message == "'$.header.patch_id' names 3 resources, of which at most 2 are loaded at once; "


def test_folder_that_is_gone_is_not_the_callers_fault(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The call fails with its own kind's code; the reason is in the log, not in the answer."""
    them = made(Voices(), folder)
    folder.rename(folder.with_name("elsewhere"))
    reply = them.hold(asking("u1"), context(), CreateFailed)
    assert isinstance(reply, Reply)
    assert (reply.code, reply.message) == (CreateFailed.code, "the personal resources cannot be read;code=-1")
    assert "the folder of service.resources cannot be read" in caplog.text


@pytest.mark.parametrize(("name", "code"), [("inner", OnceFailed.code), ("gone.txt", UNKNOWN)])
def test_file_that_changes_under_our_eyes(name: str, code: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot be read any more is the service's fault, one that is gone the caller's; neither stays held."""
    them = made(Voices(), folder)
    monkeypatch.setattr(Folder, "files", lambda _: {"u1": folder / "u1.txt", "u9": folder / name})
    reply = refused(them, "u1;u9")
    assert reply.code == code
    assert str(folder) not in reply.message
    assert [one.holders for one in them._loaded.values()] == [0]


# ── loads that fail ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (7, "error 7;code=7"),
        ("no", "wrapperLoadRes returned str, not a number;code=-1"),
        (ValueError("bad words"), "ValueError: bad words;code=-1"),
        (SystemExit(3), "SystemExit: 3;code=-1"),
        (MemoryError(), "MemoryError;code=-1"),
    ],
)
@pytest.mark.parametrize("kind", [OnceFailed, CreateFailed])
def test_load_that_fails_fails_its_call_only(
    answer: object, message: str, kind: type[OnceFailed | CreateFailed], folder: Path
) -> None:
    """The caller gets the code of its kind of call and the wrapper's words; the next call tries again."""
    wrapper = Voices()
    them = made(wrapper, folder)
    wrapper.answer = answer
    reply = them.hold(asking("u1"), context(), kind)
    assert isinstance(reply, Reply)
    assert (reply.code, reply.message) == (kind.code, message)
    wrapper.answer = None  # counts as 0
    assert used(them, "u1") == (1,)
    assert wrapper.told == ["load u1", "load u1"]


def test_what_was_held_before_a_failure_is_let_go(folder: Path) -> None:
    """The first of two is loaded and held by nobody when the second fails."""
    wrapper = Voices()
    them = made(wrapper, folder, 2)
    used(them, "u1")
    wrapper.answer = 5
    refused(them, "u1;u2")
    wrapper.answer = 0
    used(them, "u3;u4")
    assert wrapper.told == ["load u1", "load u2", "unload u1", "load u3", "load u4"]


@pytest.mark.parametrize("failing", [lambda resId: 1 / 0, lambda resId: 9])
def test_unload_that_fails_is_logged(failing: Any, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The resource counts as unloaded, the others and the worker's end go on."""
    wrapper = Voices()
    wrapper.wrapperUnloadRes = failing  # type: ignore[method-assign]  # what is tested
    them = made(wrapper, folder)
    used(them, "u1;u2")
    them.close()
    used(them, "u1")
    assert wrapper.told == ["load u1", "load u2", "load u1"]
    assert caplog.text.count("wrapperUnloadRes") >= 2


def test_coroutines_are_refused_at_the_start(folder: Path) -> None:
    """They would never run."""

    class Wrapper(Voices):
        async def wrapperLoadRes(self, reqData: DataListCls, patch_id: str) -> Any:  # type: ignore[override]  # what is tested
            return 0

    with pytest.raises(WrapperNotLoadable, match="must not be async"):
        Adapter(Wrapper(), __file__, folder=folder)
    assert Adapter(Wrapper(), __file__).resources is None


def test_folder_that_is_none_ends_the_start(folder: Path) -> None:
    """A slip in the setting is told at once, not at the first call."""
    assert resources.checked(folder) == folder
    with pytest.raises(WrapperNotLoadable, match="no folder"):
        resources.checked(folder / "u1.txt")
