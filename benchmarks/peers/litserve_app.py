"""LitServe as its manual has it: one LitAPI for each service, JSON by its defaults.

BENCH_SERVICE says which one is served, BENCH_WORKERS by how many processes, BENCH_PORT where.
"""

import base64
import os
import zlib

import litserve
from burn import BURN_SECONDS, burn


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


SERVICES = {"echo": Echo, "crc": Crc, "burn": Burn}

if __name__ == "__main__":
    service, workers = os.environ["BENCH_SERVICE"], int(os.environ["BENCH_WORKERS"])
    server = litserve.LitServer(
        SERVICES[service](api_path=f"/{service}"), accelerator="cpu", workers_per_device=workers
    )
    server.run(host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), log_level="warning", generate_client_file=False)
