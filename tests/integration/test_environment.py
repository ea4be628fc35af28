"""What a worker's process is given: its number, its card, its threads; and what it does not hand on."""

import json
import os
from pathlib import Path

from tests.serving import Json, Server

WITNESS = '''
import json, os, subprocess, sys
from athena_serving.sdk import Response, ResponseData, StringBodyField, WrapperBase


class UserRequest:
    data = StringBodyField(key="data")


class UserResponse:
    result = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "witness"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        """Writes down what it was given, and what a process of its own is given."""
        shown = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
        child = json.loads(subprocess.run(shown, capture_output=True, check=True).stdout)
        seen = {"environ": dict(os.environ), "child": child, "config": config, "cwd": os.getcwd(), "path": sys.path}
        with open(os.path.join(config["notes"], os.environ["ATHENA_WORKER"]), "w") as file:
            json.dump(seen, file)
        return 0

    def wrapperOnceExec(self, params, reqData):
        return Response([ResponseData(key="result", data=b"x")])
'''


def witnessed(tmp_path: Path, *flags: str, count: int = 2, environ: dict[str, str] | None = None) -> list[Json]:
    """What each worker wrote down."""
    notes = tmp_path / "notes"
    notes.mkdir()
    settings = {"wrapper.notes": notes, "workers.count": count}
    with Server(tmp_path, WITNESS, *flags, settings=settings, environ=environ) as server:
        server.wait_for(lambda health: health["services"]["witness"]["seats"] == count)
        first = Path(f"/proc/{server.workers()['witness-0']}/environ").read_text()
        assert "MALLOC_TRIM_THRESHOLD_=" in first  # it was in force
    return [json.loads((notes / str(number)).read_text()) for number in range(count)]


def test_workers_know_number_card_and_share_of_cores(tmp_path: Path) -> None:
    """ATHENA_WORKER counts from 0, CUDA_VISIBLE_DEVICES is the worker's own, OMP_NUM_THREADS shares the cores out."""
    seen = [one["environ"] for one in witnessed(tmp_path, "--set", "workers.devices=3;4,5")]
    assert [one["ATHENA_WORKER"] for one in seen] == ["0", "1"]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in seen] == ["3", "4,5"]
    share = max(1, len(os.sched_getaffinity(0)) // 2)
    assert [one["OMP_NUM_THREADS"] for one in seen] == [str(share)] * 2


def test_operators_environment_wins_but_for_what_is_ours(tmp_path: Path) -> None:
    """`[workers] env` is laid over the server's own, OMP_NUM_THREADS stays where it is set, the number is ours."""
    flags = ("--set", "workers.env.MODEL_HOME=/models", "--set", "workers.env.LANG=C")
    own = {"OMP_NUM_THREADS": "7", "LANG": "en", "OWN": "kept", "ATHENA_WORKER": "99"}
    (seen,) = witnessed(tmp_path, *flags, count=1, environ=own)
    expected = {"MODEL_HOME": "/models", "LANG": "C", "OMP_NUM_THREADS": "7", "OWN": "kept", "ATHENA_WORKER": "0"}
    assert expected.items() <= seen["environ"].items()
    assert seen["environ"].get("CUDA_VISIBLE_DEVICES") == os.environ.get("CUDA_VISIBLE_DEVICES")


def test_worker_lives_in_the_folder_of_its_wrapper_and_hands_nothing_on(tmp_path: Path) -> None:
    """Relative paths and imports start where the wrapper is; what tunes malloc in the worker is not inherited."""
    (seen,) = witnessed(tmp_path, count=1)
    folder = str(tmp_path / "service-0")
    assert seen["cwd"] == folder
    assert seen["path"][0] == folder
    assert seen["config"] == {"notes": str(tmp_path / "notes")}
    for environ in (seen["environ"], seen["child"]):
        assert [name for name in environ if name.startswith("MALLOC_")] == []
