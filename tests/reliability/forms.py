"""Wrappers of every form that hold sessions: generator, async generator, create and read, create and callback.

A session is told by parameters what to do (`what`, the same in every form) and how it is called (`name`). What happens
to it a wrapper notes in the file `trail` of its folder: `began`, `holds`, `passed`, `ended NAME True|False`, the last
with what its context said of its cancellation.
"""

from collections.abc import Mapping
from typing import Final

HEAD: Final = '''
import asyncio, itertools, os, threading, time
from collections import Counter
from pathlib import Path
from athena_serving.sdk import (
    DataContinue, DataEnd, Response, ResponseData, SessionCreateResponse, StringBodyField, StringParamField,
    WrapperBase, callback, current,
)

HERE = Path(__file__).parent
MADE = Counter()
PIECE = "x" * 1024


class UserRequest:
    data = StringBodyField(key="data", value=b"warm up")
    what = StringParamField(key="what")
    name = StringParamField(key="name")


class UserResponse:
    result = StringBodyField(key="result")


class Base(WrapperBase):
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperFini(self):
        note("fini")


def note(words):
    """One write, so that threads do not mix."""
    with (HERE / "trail").open("a", buffering=1) as trail:
        trail.write(f"{words};")


def is_open(name):
    return (HERE / f"gate-{name}").exists()
'''

SYNC: Final = (
    HEAD
    + '''

class Wrapper(Base):
    serviceId = "sync"

    def wrapperStream(self, params, pieces):
        call, what, name = current(), params["what"], params["name"]
        note(f"began {name}")
        try:
            yield from getattr(self, what)(name, pieces)
        finally:
            note(f"ended {name} {call.cancelled}")

    def quick(self, name, pieces):
        yield "one"
        yield "two"

    def hold(self, name, pieces):
        """The second step is made when the gate is open."""
        yield "first"
        note(f"holds {name}")
        while not is_open(name):
            time.sleep(0.01)
        note(f"passed {name}")
        yield "second"

    def count(self, name, pieces):
        for number in itertools.count(1):
            MADE[name] = number
            yield str(number)
            time.sleep(0.01)

    def flood(self, name, pieces):
        while True:
            MADE[name] += 1
            yield PIECE

    def echo(self, name, pieces):
        for piece in pieces:
            MADE[name] += 1
            yield piece.data

    def sip(self, name, pieces):
        """Takes one step, and the next ones when the gate is open."""
        for piece in pieces:
            MADE[name] += 1
            while not is_open(name):
                time.sleep(0.01)
        yield str(MADE[name])

    def spin(self, name, pieces):
        """Works for ever, in Python."""
        number = 0
        while True:
            number += 1
        yield "never"

    def nap(self, name, pieces):
        """Waits for ever, in C."""
        time.sleep(3600)
        yield "never"

    def brew(self, name, pieces):
        """Waits in C for a while, then yields."""
        yield "first"
        note(f"holds {name}")
        time.sleep(0.7)
        yield "second"
        note(f"passed {name}")
        yield "third"

    def fail(self, name, pieces):
        yield "one"
        raise RuntimeError("the owl sleeps")

    def made(self, name, pieces):
        yield str(MADE[name.removeprefix("?")])

    def die(self, name, pieces):
        os._exit(3)
        yield "never"
'''
)

ASYNC: Final = (
    HEAD
    + """

class Wrapper(Base):
    serviceId = "async"

    async def wrapperStream(self, params, pieces):
        call, what, name = current(), params["what"], params["name"]
        note(f"began {name}")
        inner = getattr(self, what)(name, pieces)
        try:
            async for piece in inner:
                yield piece
        finally:
            await inner.aclose()
            note(f"ended {name} {call.cancelled}")

    async def quick(self, name, pieces):
        yield "one"
        yield "two"

    async def hold(self, name, pieces):
        yield "first"
        note(f"holds {name}")
        while not is_open(name):
            await asyncio.sleep(0.01)
        note(f"passed {name}")
        yield "second"

    async def count(self, name, pieces):
        for number in itertools.count(1):
            MADE[name] = number
            yield str(number)
            await asyncio.sleep(0.01)

    async def flood(self, name, pieces):
        while True:
            MADE[name] += 1
            yield PIECE

    async def echo(self, name, pieces):
        async for piece in pieces:
            MADE[name] += 1
            yield piece.data

    async def sip(self, name, pieces):
        async for piece in pieces:
            MADE[name] += 1
            while not is_open(name):
                await asyncio.sleep(0.01)
        yield str(MADE[name])

    async def nap(self, name, pieces):
        await asyncio.sleep(3600)
        yield "never"

    async def fail(self, name, pieces):
        yield "one"
        raise RuntimeError("the owl sleeps")

    async def made(self, name, pieces):
        yield str(MADE[name.removeprefix("?")])
"""
)

_HANDLES: Final = """
SESSIONS = {}


class Held:
    def __init__(self, params):
        self.what, self.name, self.call, self.steps = params["what"], params["name"], current(), []


class Handles(Base):
    def wrapperCreate(self, params, sid):
        held = SESSIONS[sid] = Held(params)
        note(f"began {held.name}")
        self.begin(held, sid)
        return SessionCreateResponse(handle=sid)

    def begin(self, held, sid):
        pass

    def wrapperDestroy(self, handle):
        held = SESSIONS.pop(handle)
        note(f"ended {held.name} {held.call.cancelled}")


def again(piece):
    # The echo of a caller's last piece is the last.
    return ResponseData("result", piece.data, status=DataEnd if piece.status == DataEnd else DataContinue)


def data(held, text, status=DataContinue):
    MADE[held.name] += 1
    return Response([ResponseData("result", text, status=status)])
"""

CREATE: Final = (
    HEAD
    + _HANDLES
    + """

class Wrapper(Handles):
    serviceId = "create"

    def wrapperWrite(self, handle, req):
        held = SESSIONS[handle]
        if held.what == "fail":
            return 7
        if held.what == "echo":
            held.steps.append(again(req.list[0]))
        if held.what == "sip":
            MADE[held.name] += 1
            while not is_open(held.name):
                time.sleep(0.01)
        return 0

    def wrapperRead(self, handle):
        held = SESSIONS[handle]
        return getattr(self, held.what)(held)

    def quick(self, held):
        return data(held, "two", DataEnd) if MADE[held.name] else data(held, "one")

    def hold(self, held):
        if not MADE[held.name]:
            return data(held, "first")
        note(f"holds {held.name}")
        while not is_open(held.name):
            time.sleep(0.01)
        note(f"passed {held.name}")
        return data(held, "second", DataEnd)

    def count(self, held):
        return data(held, str(MADE[held.name] + 1))

    def flood(self, held):
        return data(held, PIECE)

    def echo(self, held):
        steps, held.steps = held.steps, []
        return Response(steps) if steps else None

    def sip(self, held):
        return None

    def nap(self, held):
        time.sleep(3600)

    def spin(self, held):
        while True:
            held.steps = []

    def made(self, held):
        return data(held, str(MADE[held.name.removeprefix("?")]), DataEnd)
"""
)

CALLBACK: Final = (
    HEAD
    + _HANDLES
    + '''

class Wrapper(Handles):
    """Sends by `callback`, from a thread of its own; `wrapperWrite` only for `echo`."""

    serviceId = "callback"

    def begin(self, held, sid):
        if hasattr(self, held.what):
            threading.Thread(target=getattr(self, held.what), args=(held, sid), daemon=True).start()

    def wrapperWrite(self, handle, req):
        held = SESSIONS[handle]
        if held.what == "echo":
            MADE[held.name] += 1
            callback(Response([again(req.list[0])]), handle)
        return 7 if held.what == "fail" else 0

    def quick(self, held, sid):
        callback(data(held, "one"), sid)
        callback(data(held, "two", DataEnd), sid)

    def hold(self, held, sid):
        callback(data(held, "first"), sid)
        note(f"holds {held.name}")
        while not is_open(held.name) and not held.call.cancelled:
            time.sleep(0.01)
        if not held.call.cancelled:
            note(f"passed {held.name}")
        answer = callback(data(held, "second", DataEnd), sid)
        note(f"sent {held.name} {answer}")

    def count(self, held, sid):
        while not callback(data(held, str(MADE[held.name] + 1)), sid):
            time.sleep(0.01)
        note(f"unheard {held.name}")

    def flood(self, held, sid):
        while not callback(data(held, PIECE), sid):
            pass
        note(f"unheard {held.name}")

    def made(self, held, sid):
        callback(data(held, str(MADE[held.name.removeprefix("?")]), DataEnd), sid)
'''
)

BOTH: Final = (
    SYNC.replace('"sync"', '"both"')
    + """
    def wrapperOnceExec(self, params, reqData):
        note(f"called {params.get('name')}")
        return Response([ResponseData("result", "once")])
"""
)
"""Holds sessions and answers calls, with the same seats."""

FORMS: Final[Mapping[str, str]] = {"sync": SYNC, "async": ASYNC, "create": CREATE, "callback": CALLBACK}
"""Service to source: one a form."""
