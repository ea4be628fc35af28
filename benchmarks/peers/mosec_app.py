"""MOSEC as its manual has it: one Worker class for each service, JSON by its defaults.

BENCH_SERVICE says which one is served, BENCH_WORKERS by how many processes.
"""

import base64
import os
import zlib

from burn import BURN_SECONDS, burn
from mosec import Server, Worker


class Echo(Worker):
    def forward(self, data: dict[str, str]) -> dict[str, str]:
        return {"text": data["text"]}


class Crc(Worker):
    def forward(self, data: dict[str, str]) -> dict[str, int]:
        picture = base64.b64decode(data["image"])
        return {"crc32": zlib.crc32(picture), "length": len(picture)}


class Burn(Worker):
    def forward(self, data: dict[str, str]) -> dict[str, int]:
        return {"burnt_us": burn(BURN_SECONDS)}


SERVICES = {"echo": Echo, "crc": Crc, "burn": Burn}

if __name__ == "__main__":
    service = os.environ["BENCH_SERVICE"]
    server = Server()
    server.append_worker(SERVICES[service], num=int(os.environ["BENCH_WORKERS"]), route=f"/{service}")
    server.run()
