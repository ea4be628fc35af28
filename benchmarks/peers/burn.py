"""CPU work, the same as in `services/burn/wrapper.py`."""

import hashlib
import time

BURN_SECONDS = 0.002


def burn(seconds: float) -> int:
    """Use this much CPU time of the calling thread, holding the GIL; microseconds really used."""
    start, digest = time.thread_time(), b""
    while (used := time.thread_time() - start) < seconds:
        for _ in range(50):
            digest = hashlib.sha256(digest).digest()
    return int(used * 1e6)
