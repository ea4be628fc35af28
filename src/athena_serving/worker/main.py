"""Composition root of a worker: load, init, warm up, serve, fini."""

import contextlib
import faulthandler
import gc
import json
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Final

from athena_serving.errors import UsageError
from athena_serving.kit import memory, processes
from athena_serving.kit.channel import Channel
from athena_serving.sdk import document
from athena_serving.sdk.context import Context
from athena_serving.wire import control, meta
from athena_serving.wire.control import Failed, Loaded, Ready, WorkerSetup
from athena_serving.wire.messages import Call, Piece, Sid
from athena_serving.wire.page import Page
from athena_serving.worker import lines, load, resources
from athena_serving.worker.adapt import Adapter
from athena_serving.worker.engine import Engine
from athena_serving.worker.lines import Named
from athena_serving.worker.orders import Orders

log = logging.getLogger("worker")

FRAME_MARGIN: Final = 1 << 20
"""Bytes that a frame's head may take beyond the body limit."""
_MALLOC: Final = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def main(descriptor: int) -> None:
    """Be a worker whose channel to the supervisor is this descriptor. Does not return: the process ends."""
    for name in _MALLOC:
        os.environ.pop(name, None)  # they were for us, not for what user code starts
    processes.die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    faulthandler.register(
        signal.SIGQUIT, all_threads=True
    )  # stacks to the log, even if user code holds the interpreter
    channel = Channel(socket.socket(fileno=descriptor))
    first = channel.receive()
    if first is None:
        os._exit(0)
    setup = control.read_to_worker(first[0])
    if not isinstance(setup, WorkerSetup):
        raise TypeError(f"the first order is {type(setup).__name__}")
    named = lines.setup("json" if setup.log == "json" else "human", setup.name)
    page = Page(memoryview(memory.mapped(first[1][0])))
    _leave(_serve(channel, setup, page, named))


def _serve(channel: Channel, setup: WorkerSetup, page: Page, named: Named) -> int:
    orders = Orders(channel, max_frame=setup.body_limit + FRAME_MARGIN)
    orders.start()
    started = time.monotonic()
    path = Path(setup.path)
    try:
        kind = load.load(path)
        wrapper = load.construct(kind, path)
        described = load.describe(kind, path, name=setup.service, version=setup.version, body_limit=setup.body_limit)
        about = meta.read(described)
        name = meta.service(about)
        schema = json.dumps(described).encode()
        folder = resources.checked(Path(setup.resources)) if setup.resources else None
        adapter = Adapter(wrapper, str(path), meta.outputs(about), folder=folder, most=setup.resources_max)
    except UsageError as error:
        return _fail(channel, "load", error)
    named.worker = f"{name}-{setup.name.rpartition('-')[2]}"
    channel.send(control.encode(Loaded(name, schema, load.faces(kind))))
    try:
        adapter.init(setup.config or getattr(kind, "config", None) or {})
    except BaseException as error:  # user code: even SystemExit must be told as what it is
        return _fail(channel, "init", load.explained(error, path, "wrapperInit failed"), error, file=str(path))
    if setup.warmup:
        _warm_up(adapter, kind, name)
    engine = Engine(
        adapter,
        page,
        service=name,
        seats=setup.seats,
        window=setup.window,
        doors=setup.doors,
        batching=setup.batching,
        idempotent=setup.idempotent,
    )
    orders.serve(engine)
    gc.collect()
    gc.freeze()  # what is loaded stays: the collector need not walk it again and again
    channel.send(control.encode(Ready(time.monotonic() - started)))
    engine.run()
    adapter.fini()
    return 0


def _warm_up(adapter: Adapter, kind: type, service: str) -> None:
    """One call with the fields' test values, so that the first caller does not pay for what is lazy."""
    values = document.test_values(kind)
    if values is None or not adapter.can_warm_up:
        return
    params, pieces = values
    call = Call(
        sid=Sid("warm-up"),
        service=service,
        app="",
        expires=time.monotonic() + 3600.0,
        headers={},
        params={**params, "sid": "warm-up"},
        pieces=[Piece(key, type_, data=data) for key, type_, data in pieces],
        expects=[],
    )
    reply = adapter.warm_up(call, Context(call.sid, app="", service=service, expires=call.expires))
    if reply.code:
        log.warning("the warm-up call failed: %s (serving all the same)", reply.message)


def _fail(
    channel: Channel, stage: str, error: UsageError, cause: BaseException | None = None, *, file: str = ""
) -> int:
    if cause is not None:  # what ends the load is the command line's to say; this is tried again, and is for the log
        # Ours has no traceback that an author could use: wrapperInit returned a number.
        raised = None if isinstance(cause, UsageError) else (type(cause), cause, load.own_trace(cause, file))
        log.error("%s", error.message, exc_info=raised, extra={"fields": {"where": error.where, "help": error.help}})
    channel.send(control.encode(Failed(stage, error.message, error.where, error.help)))
    return error.exit_code


def _leave(code: int) -> None:
    """End at once: threads that user code left behind must not keep the process."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # user code may have put anything in their place
            stream.flush()
    os._exit(code)
