"""BentoML as its manual has it: one service for each case, JSON by its defaults.

BENCH_SERVICE says which one is served, BENCH_WORKERS by how many processes.
"""

import base64
import os
import zlib

import bentoml
from burn import BURN_SECONDS, burn

WORKERS = int(os.environ.get("BENCH_WORKERS", "1"))
QUIET = {"access": {"enabled": False}}


@bentoml.service(workers=WORKERS, logging=QUIET)
class Echo:
    @bentoml.api(route="/echo")
    def echo(self, text: str) -> dict[str, str]:
        return {"text": text}


@bentoml.service(workers=WORKERS, logging=QUIET)
class Crc:
    @bentoml.api(route="/crc")
    def crc(self, image: str) -> dict[str, int]:
        picture = base64.b64decode(image)
        return {"crc32": zlib.crc32(picture), "length": len(picture)}


@bentoml.service(workers=WORKERS, logging=QUIET)
class Burn:
    @bentoml.api(route="/burn")
    def burn(self, text: str) -> dict[str, int]:
        return {"burnt_us": burn(BURN_SECONDS)}


SERVED = {"echo": Echo, "crc": Crc, "burn": Burn}[os.environ.get("BENCH_SERVICE", "echo")]
