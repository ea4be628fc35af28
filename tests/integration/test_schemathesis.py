"""What /openapi.json says is what the server does, asked by somebody else's tool."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.integration.rich import RICH
from tests.serving import Server

SCHEMATHESIS: Final = Path(sys.executable).with_name("schemathesis")
CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "positive_data_acceptance",
    "negative_data_rejection",
)
EXAMPLES: Final = 40  # of each operation, beside those that the coverage phase makes of the schema itself
TIMEOUT: Final = 90.0  # seconds; it takes 15


def test_schemathesis_finds_no_difference(tmp_path: Path) -> None:
    """Requests that are right by the document are accepted, wrong ones refused, answers are as published, none is 5xx.

    Strings are ASCII: ours are bounded in bytes of UTF-8, which JSON Schema, counting characters, cannot say.
    """
    with Server(tmp_path, RICH) as server:
        command: list[str | Path] = [SCHEMATHESIS, "run", f"{server.url}/openapi.json", "--no-color"]
        command += ["--phases", "examples,coverage,fuzzing", "--checks", ",".join(CHECKS), "--mode", "all"]
        command += ["--generation-codec", "ascii", "--max-examples", str(EXAMPLES), "--continue-on-failure"]
        command += ["--seed", "1", "--generation-deterministic"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
        assert "No issues found" in done.stdout
        # It has indeed tried both.
        assert server.total("athena_calls_total", service="rich", code="0") > 100
        assert server.total("athena_calls_total", service="rich", code="10163") > 100
