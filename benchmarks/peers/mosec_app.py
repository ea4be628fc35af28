"""MOSEC as its manual has it: one Worker class for each service, JSON by its defaults.

BENCH_SERVICE says which one is served, BENCH_WORKERS by how many processes.
"""

import base64
import os
import time
import zlib

from burn import BURN_SECONDS, burn
from job import job_seconds
from mosec import Server, SSEWorker, Worker
from pieces import PIECES


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


class Chunks(SSEWorker):
    def forward(self, data: list[dict[str, str]]) -> list[str]:
        for piece in PIECES:
            for index in range(len(data)):
                self.send_stream_event(piece, index)
        return [item["text"] for item in data]


class Batch(Worker):
    def forward(self, data: list[dict[str, str]]) -> list[dict[str, str]]:
        time.sleep(job_seconds(len(data)))
        return [{"text": item["text"]} for item in data]


SERVICES = {"echo": Echo, "crc": Crc, "burn": Burn, "chunks": Chunks, "batch": Batch}
# The shortest wait that it takes; 0 means its default of 10 ms. Streams of a batch go on side by side.
SIXTEEN = {"max_batch_size": 16, "max_wait_time": 1}
BATCHING = {"chunks": SIXTEEN, "batch": SIXTEEN}

if __name__ == "__main__":
    service = os.environ["BENCH_SERVICE"]
    workers = int(os.environ["BENCH_WORKERS"])
    server = Server()
    server.append_worker(SERVICES[service], num=workers, route=f"/{service}", **BATCHING.get(service, {}))
    server.run()
