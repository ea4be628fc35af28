"""Who is asked: how each server is started, and how one knows that it is ready."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import environments
from benchmarks.cases import Case
from benchmarks.exchanges import Dialect, Exchange

HERE = Path(__file__).parent
ROOT = HERE.parent


@dataclass(frozen=True, slots=True)
class Ports:
    """Free ports of one start."""

    http: int
    admin: int


@dataclass(frozen=True, slots=True)
class Server:
    """One competitor."""

    name: str
    dialect: Dialect
    site: Path
    """The virtual environment that it runs in."""
    packages: tuple[str, ...]
    """Whose versions the report states."""
    command: Callable[[Case, Ports], list[str]]
    ready: str = ""
    """Path that answers 200 once the server is ready; empty: the case's own request does."""
    environ: Callable[[Case, Ports], dict[str, str]] = lambda _case, _ports: {}
    """What the process finds in its environment besides ours."""

    def exchange(self, case: Case) -> Exchange:
        """What it is asked: in its own dialect, unless the case has another one for it."""
        return case.exchanges[case.dialects.get(self.name, self.dialect)]


def _athena(case: Case, ports: Ports) -> list[str]:
    served = [case.service, *([case.beside.service] if case.beside else ())]
    command = [str(ROOT / ".venv/bin/athena"), "serve", *(str(HERE / "services" / name) for name in served)]
    command += ["--port", str(ports.http), "--admin-port", str(ports.admin), "--workers", str(case.workers)]
    return [*command, "--set", "server.access_log=false", "--log", "json"]


def _fastapi(case: Case, ports: Ports) -> list[str]:
    command = [str(environments.folder("fastapi") / "bin/python"), "-m", "uvicorn", "fastapi_app:app"]
    command += ["--app-dir", str(HERE / "peers"), "--host", "127.0.0.1", "--port", str(ports.http)]
    command += ["--workers", str(case.workers), "--loop", "uvloop", "--http", "httptools"]
    return [*command, "--no-access-log", "--log-level", "warning"]


def _mosec(_case: Case, ports: Ports) -> list[str]:
    command = [str(environments.folder("mosec") / "bin/python"), str(HERE / "peers/mosec_app.py")]
    return [*command, "--address", "127.0.0.1", "--port", str(ports.http), "--log-level", "warning"]


def _litserve(_case: Case, _ports: Ports) -> list[str]:
    return [str(environments.folder("litserve") / "bin/python"), str(HERE / "peers/litserve_app.py")]


def _bentoml(_case: Case, ports: Ports) -> list[str]:
    command = [str(environments.folder("bentoml") / "bin/python"), "-m", "bentoml", "serve", "bentoml_app:SERVED"]
    command += ["--working-dir", str(HERE / "peers"), "--host", "127.0.0.1", "--port", str(ports.http)]
    return command


def _one_service(case: Case, ports: Ports) -> dict[str, str]:
    # A peer that starts the workers of every service it is told of is told of one.
    return {"BENCH_SERVICE": case.service, "BENCH_WORKERS": str(case.workers), "BENCH_PORT": str(ports.http)}


def _bentoml_environ(case: Case, ports: Ports) -> dict[str, str]:
    home = str(environments.folder("bentoml") / "home")
    return {**_one_service(case, ports), "BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "True"}


SERVERS = (
    Server(
        name="athena",
        dialect=Dialect.ASE,
        site=ROOT / ".venv",
        packages=("athena-serving", "uvicorn", "httptools", "uvloop", "msgspec", "pybase64"),
        command=_athena,
        ready="/readyz",
    ),
    Server(
        name="fastapi",
        dialect=Dialect.PLAIN,
        site=environments.folder("fastapi"),
        packages=("fastapi", "starlette", "pydantic", "uvicorn", "httptools", "uvloop"),
        command=_fastapi,
    ),
    Server(
        name="mosec",
        dialect=Dialect.PLAIN,
        site=environments.folder("mosec"),
        packages=("mosec", "msgspec"),
        command=_mosec,
        environ=_one_service,
    ),
    Server(
        name="litserve",
        dialect=Dialect.PLAIN,
        site=environments.folder("litserve"),
        packages=("litserve", "fastapi", "uvicorn"),
        command=_litserve,
        environ=_one_service,
    ),
    Server(
        name="bentoml",
        dialect=Dialect.PLAIN,
        site=environments.folder("bentoml"),
        packages=("bentoml", "starlette", "uvicorn"),
        command=_bentoml,
        environ=_bentoml_environ,
    ),
)
"""In the order of every round; the first is the one that the others are compared with."""
