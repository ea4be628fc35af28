"""BentoML as its manual has it: one service for each case, JSON by its defaults.

BENCH_SERVICE says which one is served, BENCH_WORKERS by how many processes.
"""

import base64
import os
import time
import zlib
from typing import Annotated, AsyncGenerator

import bentoml
from burn import BURN_SECONDS, burn
from job import job_seconds
from pieces import PIECES

WORKERS = int(os.environ.get("BENCH_WORKERS", "1"))
QUIET = {"access": {"enabled": False}}
EVENTS = "text/event-stream"


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


@bentoml.service(workers=WORKERS, logging=QUIET)
class Chunks:
    @bentoml.api(route="/chunks")
    async def chunks(self, text: str) -> AsyncGenerator[Annotated[str, bentoml.validators.ContentType(EVENTS)], None]:
        for piece in PIECES:
            yield f"data: {piece}\n\n"


@bentoml.service(workers=WORKERS, logging=QUIET)
class Batch:
    @bentoml.api(route="/batch", batchable=True, max_batch_size=16)
    def batch(self, text: list[str]) -> list[str]:
        time.sleep(job_seconds(len(text)))
        return text


SERVICES = {"echo": Echo, "crc": Crc, "burn": Burn, "chunks": Chunks, "batch": Batch}
SERVED = SERVICES[os.environ.get("BENCH_SERVICE", "echo")]
