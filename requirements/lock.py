"""Resolve every locked file anew: hashes, no registry host, nothing younger than a week."""

import datetime as dt
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
COOL_DOWN = dt.timedelta(days=7)

FILES = {
    "run.txt": ["pyproject.toml", "--extra", "http2", "requirements/build.in"],
    "dev.txt": ["pyproject.toml", "--extra", "http2", "--group", "dev", "requirements/build.in"],
    "mmocr.txt": ["requirements/mmocr.in", "--override", "requirements/overrides.txt"],
    "iat.txt": ["requirements/iat.in", "--no-deps"],
    "tts.txt": ["requirements/tts.in", "--no-deps"],
    "embed.txt": ["requirements/embed.in", "--no-deps"],
}


def main() -> None:
    """Write `requirements/*.txt`; `dev.txt` first, as the constraint of the others."""
    newest = (dt.datetime.now(dt.UTC) - COOL_DOWN).date().isoformat()
    for name in ("dev.txt", "run.txt", "mmocr.txt", "iat.txt", "tts.txt", "embed.txt"):
        command = [sys.executable, "-m", "uv", "pip", "compile", *FILES[name]]
        command += ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate"]
        command += ["--no-emit-index-url", "--no-emit-find-links", "--quiet", "--exclude-newer", newest]
        if name != "dev.txt":
            command += ["--constraint", "requirements/dev.txt"]
        subprocess.run([*command, "--output-file", f"requirements/{name}"], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
