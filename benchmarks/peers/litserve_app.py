"""LitServe as its manual has it: one LitAPI for each service, JSON by its defaults.

BENCH_SERVICE says which one is served, BENCH_WORKERS by how many processes, BENCH_PORT where.
"""

import base64
import os
import time
import zlib
from collections.abc import Iterator

import litserve
from burn import BURN_SECONDS, burn
from job import job_seconds
from pieces import PIECES


class Echo(litserve.LitAPI):
    def setup(self, device: str) -> None:
        pass

    def predict(self, request: dict[str, str]) -> dict[str, str]:
        return {"text": request["text"]}


class Crc(litserve.LitAPI):
    def setup(self, device: str) -> None:
        pass

    def predict(self, request: dict[str, str]) -> dict[str, int]:
        picture = base64.b64decode(request["image"])
        return {"crc32": zlib.crc32(picture), "length": len(picture)}


class Burn(litserve.LitAPI):
    def setup(self, device: str) -> None:
        pass

    def predict(self, request: dict[str, str]) -> dict[str, int]:
        return {"burnt_us": burn(BURN_SECONDS)}


class Chunks(litserve.LitAPI):
    def setup(self, device: str) -> None:
        pass

    def predict(self, request: dict[str, str]) -> Iterator[str]:
        yield from PIECES

    # Without an annotation of the answer, which LitServe would take for a model of it.
    def encode_response(self, output: Iterator[str]):
        for piece in output:
            yield f"data: {piece}\n\n"


class Batch(litserve.LitAPI):
    def setup(self, device: str) -> None:
        pass

    def predict(self, requests: list[dict[str, str]]) -> list[dict[str, str]]:
        time.sleep(job_seconds(len(requests)))
        return [{"text": request["text"]} for request in requests]


SERVICES = {"echo": Echo, "crc": Crc, "burn": Burn, "chunks": Chunks, "batch": Batch}
SETTINGS = {"chunks": {"stream": True}, "batch": {"max_batch_size": 16, "batch_timeout": 0.001}}

if __name__ == "__main__":
    service, workers = os.environ["BENCH_SERVICE"], int(os.environ["BENCH_WORKERS"])
    api = SERVICES[service](api_path=f"/{service}", **SETTINGS.get(service, {}))
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers)
    server.run(host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), log_level="warning", generate_client_file=False)
