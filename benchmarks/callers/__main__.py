"""`python -m benchmarks.callers < ORDER`: call, then print one line."""

import asyncio
import sys

import msgspec
import uvloop

from benchmarks.callers import events, sockets, sound
from benchmarks.callers.orders import PATIENCE, Load, Order
from benchmarks.callers.tally import Tally

CALLS = {"events": events.call, "frames": sockets.call}


def main() -> int:
    """Read the order, carry it out, print what came of it."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    load = uvloop.run(_run(order))
    print(f"bench {msgspec.json.encode(load).decode()}", flush=True)
    return 0


async def _run(order: Order) -> Load:
    """Carry it out. Raises the first error of a caller's own: a count with a caller missing would be none."""
    mistakes: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: mistakes.append(context.get("exception") or RuntimeError(context["message"]))
    )
    load = await (_paced(order) if order.drive == "paced" else _closed(order))
    if mistakes:
        raise mistakes[0]
    return load


async def _closed(order: Order) -> Load:
    """So many callers, each with one request in flight."""
    tally = Tally(order.seconds)
    tally.start()
    calls = [
        asyncio.create_task(CALLS[order.drive](order, tally), name=f"caller {number}")
        for number in range(order.connections)
    ]
    done, missing = await asyncio.wait(calls, timeout=order.seconds + PATIENCE)
    for call in missing:
        call.cancel()
    for call in done:
        call.result()
    tally.late += len(missing)
    return tally.load()


async def _paced(order: Order) -> Load:
    """So many sessions, each with a frame in every pace."""
    tally = Tally(order.seconds)
    beside = await sound.run(order, tally)
    return tally.load(beside.load() if order.beside else None)


if __name__ == "__main__":
    sys.exit(main())
