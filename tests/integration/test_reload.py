"""`athena serve --reload`: an edit is served within a second, a broken one keeps what was, and no call is lost."""

import asyncio
from pathlib import Path
from typing import Final

from tests.load import load_on
from tests.serving import ECHO, Json, Server, eventually, text_of

WITHIN: Final = 10.0
"""Seconds for what takes under one on a quiet machine: this is no measurement."""


def saying(word: str, *, service: str = "echo") -> str:
    """An echo that puts a word before what it was told."""
    return ECHO.replace("data=text.encode()", f"data={word.encode()!r} + text.encode()").replace(
        '"echo"', f'"{service}"'
    )


def answer(server: Server, service: str = "echo") -> str:
    """What the service makes of `x`."""
    status, body = server.call(service, "x")
    assert status == 200, body
    return text_of(body)


def wrapper(server: Server, number: int = 0) -> Path:
    """The file of the server's service of this number."""
    return server.paths[number] / "wrapper.py"


def generation(server: Server, service: str = "echo") -> int:
    """The generation that has the service's calls."""
    number: int = server.health()["services"][service]["generation"]
    return number


def note(health: Json) -> str:
    """What health says of the last reload."""
    return str(health["services"]["echo"].get("note", ""))


def say(server: Server, word: str) -> None:
    """Edit the wrapper as editors do: another file takes its name."""
    draft = wrapper(server).with_name("wrapper.py.draft")
    draft.write_text(saying(word))
    draft.replace(wrapper(server))


async def test_edit_under_load_is_served_and_fails_nobody(tmp_path: Path) -> None:
    """Every single request of the load is answered 200, first by the old code, in the end by the new."""
    with Server(tmp_path, saying("old "), "--reload", settings={"workers.count": 2}) as server:
        async with load_on(server, "echo", callers=4, data="x") as load:
            await load.reached(50)
            await asyncio.to_thread(say, server, "new ")
            await asyncio.to_thread(eventually, lambda: answer(server) == "new x", timeout=WITHIN, what="the edit")
            await load.reached(50)
        assert {(sample.error, sample.status) for sample in load.samples} == {("", 200)}
        said = server.log("edited, reloading")
        assert [line["files"] for line in said] == [str(wrapper(server))]
        assert generation(server) == 2


async def test_broken_edit_keeps_the_old_code_and_says_why(tmp_path: Path) -> None:
    """One line has the place and the remedy, health has the same as a note, and mending the file clears it."""
    with Server(tmp_path, saying("old "), "--reload") as server:
        async with load_on(server, "echo", callers=2) as load:
            await asyncio.to_thread(wrapper(server).write_text, saying("new ") + "\nx = (\n")
            broken = saying("new ").count("\n") + 2
            health = await asyncio.to_thread(server.wait_for, note, WITHIN)
            assert "the reload failed, the old workers stay: wrapper.py cannot be imported: SyntaxError" in note(health)
            assert f"{wrapper(server)}:{broken}" in note(health)
            assert "; help: " in note(health)
            assert (health["ready"], health["services"]["echo"]["generation"]) == (True, 1)
            assert [line["message"] for line in server.log() if line.get("level") == "ERROR"] == [
                f"echo: {note(health)}"
            ]
            await asyncio.to_thread(say, server, "new ")
            await asyncio.to_thread(server.wait_for, lambda health: not note(health), WITHIN)
            assert answer(server) == "new x"
        assert {(sample.error, sample.status) for sample in load.samples} == {("", 200)}


def test_edits_of_the_same_length_within_a_second_are_all_seen(tmp_path: Path) -> None:
    """Python's compiled forms go by time in seconds and size; the last edit counts all the same."""
    with Server(tmp_path, saying("0 "), "--reload") as server:
        for round_ in range(1, 7):
            say(server, f"{round_} ")
        eventually(lambda: answer(server) == "6 x", timeout=WITHIN, what="the last edit")
        for round_ in (7, 8):
            say(server, f"{round_} ")
            eventually(lambda round_=round_: answer(server) == f"{round_} x", timeout=WITHIN, what="an edit")  # type: ignore[misc]


def test_edits_during_a_reload_are_one_more(tmp_path: Path) -> None:
    """However many files are written while new workers start, they start once more, from the last."""
    slow = 'open("begun", "w").close()\nwhile not os.path.exists("go"):\n    time.sleep(0.01)\n'
    with Server(tmp_path, saying("old "), "--reload") as server:
        place = wrapper(server).parent
        wrapper(server).write_text(saying("mid ").replace("class UserRequest", f"{slow}\n\nclass UserRequest", 1))
        eventually((place / "begun").exists, timeout=WITHIN, what="the reload")
        for round_ in range(3):
            say(server, f"{round_} ")
            seen = round_ + 2
            eventually(lambda seen=seen: len(server.log("edited, reloading")) == seen, timeout=WITHIN)  # type: ignore[misc]
        assert answer(server) == "old x"
        (place / "go").touch()
        eventually(lambda: answer(server) == "2 x", timeout=WITHIN, what="the last edit")
        assert generation(server) == 3


def test_only_the_edited_service_starts_anew(tmp_path: Path) -> None:
    """Its neighbour's workers are the same processes."""
    with Server(tmp_path, [saying("a ", service="one"), saying("b ", service="two")], "--reload") as server:
        before = server.workers("two")
        wrapper(server).write_text(saying("c ", service="one"))
        eventually(lambda: answer(server, "one") == "c x", timeout=WITHIN, what="the edit")
        assert (server.workers("two"), answer(server, "two")) == (before, "b x")


def test_what_a_wrapper_imports_and_its_schema_count_too(tmp_path: Path) -> None:
    """A module in a new folder beside it is seen, also when that is edited later."""
    source = saying("").replace("import os", "from parts import words\nimport os", 1)
    source = source.replace("data=b'' + text", "data=words.WORD.encode() + text")
    place = tmp_path / "service-0"
    (place / "parts").mkdir(parents=True)
    words = place / "parts" / "words.py"
    words.write_text('WORD = "a "\n')
    with Server(tmp_path, source, "--reload") as server:
        words.write_text('WORD = "b "\n')
        eventually(lambda: answer(server) == "b x", timeout=WITHIN, what="the edit")
        (place / "more").mkdir()
        server.wait_for(lambda health: health["services"]["echo"]["generation"] == 2, WITHIN)
        (place / "more" / "extra.py").write_text('WORD = "c "\n')
        eventually(lambda: generation(server) == 3, timeout=WITHIN, what="the new folder")
        words.write_text("from more.extra import WORD\n")
        eventually(lambda: answer(server) == "c x", timeout=WITHIN, what="the edit")


def test_mounted_config_map_is_followed(tmp_path: Path) -> None:
    """Kubernetes turns a link to a folder of another name; no file that we named is written."""
    place = tmp_path / "mount"
    for name, word in (("..1", "old "), ("..2", "new ")):
        (place / name).mkdir(parents=True)
        (place / name / "wrapper.py").write_text(saying(word))
    (place / "..data").symlink_to("..1")
    (place / "wrapper.py").symlink_to("..data/wrapper.py")
    with Server(tmp_path, place, "--reload") as server:
        (place / "..data_tmp").symlink_to("..2")
        (place / "..data_tmp").replace(place / "..data")
        eventually(lambda: answer(server) == "new x", timeout=WITHIN, what="the other folder")


def test_folder_that_is_exchanged_as_a_whole_is_followed(tmp_path: Path) -> None:
    """A deployment moves a new folder into the old one's place; edits in it count from then on."""
    with Server(tmp_path, saying("old "), "--reload") as server:
        place = wrapper(server).parent
        fresh = tmp_path / "fresh"
        fresh.mkdir()
        (fresh / "wrapper.py").write_text(saying("new "))
        place.rename(tmp_path / "gone")
        fresh.rename(place)
        eventually(lambda: answer(server) == "new x", timeout=WITHIN, what="the new folder")
        say(server, "newer ")
        eventually(lambda: answer(server) == "newer x", timeout=WITHIN, what="the edit in it")


def test_edit_mends_a_service_that_never_was_ready(tmp_path: Path) -> None:
    """Whoever mends `wrapperInit` need not wait for the next try of the old code, nor start the server anew."""
    broken = saying("new ").replace("return 0", 'raise RuntimeError("no card")', 1)
    slow = {"workers.restart_delay": 60, "workers.restart_delay_max": 60, "workers.restart_limit": 2}
    with Server(tmp_path, broken, "--reload", settings=slow, ready=False) as server:
        server.wait_for(lambda health: "no card" in str(health["reasons"]))
        say(server, "new ")
        server.wait_ready()
        assert answer(server) == "new x"


def test_settings_are_read_once_and_that_is_said(tmp_path: Path) -> None:
    """An edit of athena.toml starts nothing, and the log says what to do."""
    with Server(tmp_path, saying("old "), "--reload") as server:
        (wrapper(server).parent / "athena.toml").write_text('[wrapper]\nlang = "zh"\n')
        eventually(lambda: server.log("settings are read once"), timeout=WITHIN, what="the warning")
        assert generation(server) == 1


def test_service_outlives_what_watches_it(tmp_path: Path) -> None:
    """Where the system has no watch left one line says so, with the remedy, and calls go on."""
    shadow = tmp_path / "shadow" / "watchfiles.py"
    shadow.parent.mkdir()
    shadow.write_text('def awatch(*_, **__):\n    raise OSError(28, "OS file watch limit reached.")\n')
    environ = {"PYTHONPATH": str(shadow.parent)}
    with Server(tmp_path, saying("old "), "--reload", environ=environ) as server:
        (line,) = eventually(lambda: server.log("are not watched"), what="the line")
        assert "fs.inotify.max_user_watches" in line["message"]
        assert answer(server) == "old x"


def test_without_the_flag_nothing_is_watched(tmp_path: Path) -> None:
    """An edit waits for SIGHUP: the server does not even import what could see it."""
    with Server(tmp_path, saying("old ")) as server:
        assert "_rust_notify" not in Path(f"/proc/{server.pid}/maps").read_text()
