# ruff: noqa: ARG002  # wrappers' methods have the parameters they have
"""How long personal resources stay loaded: least recent use, edits, deletions, many threads, and the end."""

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from athena_serving.errors import OnceFailed
from athena_serving.sdk import DataListCls, WrapperBase
from athena_serving.wire.messages import Reply
from athena_serving.worker.adapt import Adapter
from athena_serving.worker.resources import Resources
from tests.worker.test_resources import UNKNOWN, Voices, asking, context, held, made, refused, used

PATIENCE: Final = 10.0
"""Seconds that another thread is waited for."""
LONG_AGO: Final = 1_600_000_000
"""A time of change that no later change can share."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Resources u1 to u5."""
    place = tmp_path / "voices"
    place.mkdir()
    for name in ("u1", "u2", "u3", "u4", "u5"):
        (place / f"{name}.txt").write_text(f"words of {name}")
    return place


def edit(path: Path, text: str) -> None:
    """Write a file anew, at another time than before."""
    was = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(was + 1, was + 1))


# ── which are loaded ──────────────────────────────────────────────────────────────────────────────


def test_oldest_use_makes_room(folder: Path) -> None:
    """Beyond the bound the resource that was used least recently is unloaded, before the new one is loaded."""
    wrapper = Voices()
    them = made(wrapper, folder, 2)
    for ids in ("u1", "u2", "u1", "u3", "u2"):
        used(them, ids)
    assert wrapper.told == ["load u1", "load u2", "unload u2", "load u3", "unload u1", "load u2"]
    assert used(them, "u2") == (2,)


def test_held_resource_is_not_unloaded(folder: Path) -> None:
    """Calls that run may have more than the bound together; what is too much goes when the next call comes."""
    wrapper = Voices()
    them = made(wrapper, folder, 1)
    with held(them, "u1"), held(them, "u2"):
        assert wrapper.told == ["load u1", "load u2"]
    used(them, "u2")
    assert wrapper.told == ["load u1", "load u2", "unload u1"]


def test_call_does_not_push_out_what_it_wants_itself(folder: Path) -> None:
    """The oldest is kept where the call asks for it again, beside a new one."""
    wrapper = Voices()
    them = made(wrapper, folder, 2)
    used(them, "u1")
    used(them, "u2")
    used(them, "u3;u1")
    assert wrapper.told == ["load u1", "load u2", "unload u2", "load u3"]


def test_edited_file_is_loaded_anew(folder: Path) -> None:
    """At the next call, after the old one is unloaded, under the same number; the same file is not."""
    wrapper = Voices()
    them = made(wrapper, folder)
    used(them, "u1")
    edit(folder / "u1.txt", "other")
    assert (used(them, "u1"), used(them, "u1")) == ((1,), (1,))
    assert wrapper.told == ["load u1", "unload u1", "load u1"]
    assert [bytes(node.data) for node in wrapper.nodes] == [b"words of u1", b"other"]


def test_edited_file_waits_for_the_calls_that_hold_it(folder: Path) -> None:
    """Meanwhile other calls share what is loaded."""
    wrapper = Voices()
    them = made(wrapper, folder)
    with held(them, "u1"):
        edit(folder / "u1.txt", "other")
        used(them, "u1")
        assert wrapper.told == ["load u1"]
    used(them, "u1")
    assert wrapper.told == ["load u1", "unload u1", "load u1"]


def test_edited_file_that_cannot_be_loaded_is_not_there(folder: Path) -> None:
    """The old state is gone, and each call tries again."""
    wrapper = Voices()
    them = made(wrapper, folder)
    used(them, "u1")
    edit(folder / "u1.txt", "bad")
    wrapper.answer = 3
    assert refused(them, "u1").code == OnceFailed.code
    assert refused(them, "u1").code == OnceFailed.code
    assert wrapper.told == ["load u1", "unload u1", "load u1", "load u1"]


def test_deleted_file_is_unloaded_by_the_next_call(folder: Path) -> None:
    """Even by one that still asks for it, which is refused; a file that is put there later is found at once."""
    wrapper = Voices()
    them = made(wrapper, folder)
    used(them, "u1")
    os.utime(folder, (LONG_AGO, LONG_AGO))
    used(them, "u1")  # the folder is known now, and nothing of it is read again until it changes
    (folder / "u1.txt").unlink()
    assert refused(them, "u1").code == UNKNOWN
    assert wrapper.told == ["load u1", "unload u1"]
    (folder / "u1.txt").write_text("back")
    assert used(them, "u1") == (1,)


def test_deleted_file_stays_while_a_call_holds_it(folder: Path) -> None:
    """No call loses what it uses."""
    wrapper = Voices()
    them = made(wrapper, folder)
    with held(them, "u1"):
        (folder / "u1.txt").unlink()
        used(them, "u2")
        assert wrapper.told == ["load u1", "load u2"]
    used(them, "u2")
    assert wrapper.told == ["load u1", "load u2", "unload u1"]


def test_end_unloads_all_before_fini(folder: Path) -> None:
    """`wrapperFini` comes last, once."""

    class Wrapper(Voices):
        def wrapperFini(self) -> int:
            self.told.append("fini")
            return 0

    wrapper = Wrapper()
    adapter = Adapter(wrapper, __file__, folder=folder)
    assert adapter.resources is not None
    used(adapter.resources, "u1;u2")
    adapter.fini()
    assert wrapper.told == ["load u1", "load u2", "unload u1", "unload u2", "fini"]


# ── threads ───────────────────────────────────────────────────────────────────────────────────────


class Slow(Voices):
    """Its loads take until the test lets them end."""

    def __init__(self) -> None:
        super().__init__()
        self.began = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)

    def wrapperLoadRes(self, reqData: DataListCls, patch_id: str) -> Any:
        """Waits."""
        self.began.release()
        assert self.may_end.acquire(timeout=PATIENCE)
        return super().wrapperLoadRes(reqData, patch_id)


def until_waiting(them: Resources, count: int) -> None:
    """Wait until so many threads wait for a resource that is being loaded."""
    end = threading.Event()
    for _ in range(1000):
        with them._changed:
            if len(them._changed._waiters) >= count:  # type: ignore[attr-defined]  # nobody else knows
                return
        end.wait(PATIENCE / 1000)
    pytest.fail(f"fewer than {count} threads wait")


def test_resource_that_is_being_loaded_is_awaited(folder: Path) -> None:
    """Calls that come meanwhile wait and share it; it is loaded once."""
    wrapper = Slow()
    them = made(wrapper, folder)
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(used, them, "u1")
        assert wrapper.began.acquire(timeout=PATIENCE)
        others = [threads.submit(used, them, "u1") for _ in range(3)]
        until_waiting(them, 3)
        wrapper.may_end.release()
        assert [one.result(PATIENCE) for one in (first, *others)] == [(1,)] * 4
    assert wrapper.told == ["load u1"]


def test_slow_load_does_not_delay_other_resources(folder: Path) -> None:
    """What is loaded already is had at once, and what is not is loaded at the same time."""
    wrapper = Slow()
    them = made(wrapper, folder)
    wrapper.may_end.release()
    used(them, "u1")
    assert wrapper.began.acquire(timeout=PATIENCE)
    with ThreadPoolExecutor(2) as threads:
        two, three = threads.submit(used, them, "u2"), threads.submit(used, them, "u3")
        for _ in range(2):
            assert wrapper.began.acquire(timeout=PATIENCE)  # both are inside
        assert used(them, "u1") == (1,)
        wrapper.may_end.release(2)
        assert {two.result(PATIENCE), three.result(PATIENCE)} == {(2,), (3,)}


def test_who_waited_for_a_load_that_failed_tries_itself(folder: Path) -> None:
    """One call's failure is not another's."""
    wrapper = Slow()
    them = made(wrapper, folder)
    wrapper.answer = 4
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(refused, them, "u1")
        assert wrapper.began.acquire(timeout=PATIENCE)
        second = threads.submit(used, them, "u1")
        until_waiting(them, 1)
        wrapper.may_end.release()
        assert first.result(PATIENCE).code == OnceFailed.code
        assert wrapper.began.acquire(timeout=PATIENCE)
        wrapper.answer = 0
        wrapper.may_end.release()
        assert second.result(PATIENCE) == (1,)


def test_end_waits_for_a_load(folder: Path) -> None:
    """What is loaded for a call that is gone is unloaded as well."""
    wrapper = Slow()
    them = made(wrapper, folder)
    with ThreadPoolExecutor(2) as threads:
        loading = threads.submit(used, them, "u1")
        assert wrapper.began.acquire(timeout=PATIENCE)
        closing = threads.submit(them.close)
        until_waiting(them, 1)
        wrapper.may_end.release()
        closing.result(PATIENCE)
        loading.result(PATIENCE)
    assert wrapper.told == ["load u1", "unload u1"]


def test_no_call_ever_uses_what_is_not_loaded(folder: Path) -> None:
    """Many threads, few places, files that are edited meanwhile: loads and unloads alternate, and none is in use."""
    there: dict[str, int] = {}
    slips: list[str] = []
    guard = threading.Lock()

    class Wrapper(WrapperBase):
        def wrapperLoadRes(self, reqData: DataListCls, resId: str) -> int:
            with guard:
                if resId in there:
                    slips.append(f"{resId} loaded twice")
                there[resId] = 0
            return 0

        def wrapperUnloadRes(self, resId: str) -> int:
            with guard:
                if there.pop(resId, 1):
                    slips.append(f"{resId} unloaded in use, or twice")
            return 0

    them = made(Wrapper(), folder, 3)

    def work(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(60):
            ids = dice.sample(["u1", "u2", "u3", "u4", "u5"], dice.randint(1, 3))
            if dice.random() < 0.1:
                edit(folder / f"{ids[0]}.txt", str(dice.random()))
            found = them.hold(asking(";".join(ids)), context(), OnceFailed)
            if isinstance(found, Reply):
                slips.append(found.message)
                continue
            with found:
                with guard:
                    slips.extend(f"{one} used while it is not loaded" for one in ids if one not in there)
                    there.update({one: there.get(one, 0) + 1 for one in ids})
                os.sched_yield()
                with guard:
                    there.update({one: there.get(one, 0) - 1 for one in ids})

    with ThreadPoolExecutor(8) as threads:
        for one in [threads.submit(work, seed) for seed in range(8)]:
            one.result(60)
    them.close()
    assert (slips, there) == ([], {})
