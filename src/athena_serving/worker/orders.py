"""The orders thread: reads what must never wait behind a call: the supervisor's channel and the doors' side links."""

import logging
import os
import select
import signal
import socket
import threading

from athena_serving.kit.channel import Channel, ChannelBroken
from athena_serving.wire import control, frames
from athena_serving.wire.control import Attach, Ping, Pong, Stop
from athena_serving.wire.frames import BadFrame, Frame, Kind
from athena_serving.worker.engine import Engine
from athena_serving.worker.link import DoorLink

log = logging.getLogger(__name__)


class Orders:
    """One thread; a worker has it from its first moment, so that a wrapper that loads for minutes answers pings."""

    def __init__(self, channel: Channel, *, max_frame: int) -> None:
        self._channel = channel
        self._max_frame = max_frame
        self._engine: Engine | None = None
        self._doors: dict[int, DoorLink] = {}
        self._poll = select.poll()

    def start(self) -> None:
        """Start the thread."""
        self._poll.register(self._channel.link, select.POLLIN)
        threading.Thread(target=self._run, name="orders", daemon=True).start()

    def serve(self, engine: Engine) -> None:
        """From now on calls can come."""
        self._engine = engine

    def _run(self) -> None:
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._channel.link.fileno():
                    self._orders()
                elif descriptor in self._doors:
                    self._side(descriptor)

    def _orders(self) -> None:
        try:
            messages = self._channel.pending()
        except (OSError, ChannelBroken):
            messages = None
        if messages is None:
            # The supervisor is gone: nobody owns us. Our group goes with us, subprocesses of user code included.
            os.killpg(os.getpgrp(), signal.SIGKILL)
            return
        for message, fds in messages:
            self._obey(control.read_to_worker(message), fds)

    def _obey(self, order: control.ToWorker, fds: list[int]) -> None:
        match order:
            case Ping(number):
                self._channel.send(control.encode(Pong(number)))
            case Attach(door):
                data, side = (socket.socket(fileno=fd) for fd in fds)
                self._attach(DoorLink(door, data, side, max_frame=self._max_frame))
            case Stop():
                if self._engine is None:
                    os._exit(0)  # still loading: there is nothing to finish
                self._engine.stop()
            case _:
                log.error("an order that no worker knows: %s", type(order).__name__)

    def _attach(self, link: DoorLink) -> None:
        if self._engine is None:
            log.error("door %d attached before the engine was there", link.door)
            link.close()
            return
        self._doors[link.side.fileno()] = link
        self._poll.register(link.side, select.POLLIN)
        self._engine.attach(link)

    def _side(self, descriptor: int) -> None:
        link = self._doors[descriptor]
        try:
            arrived = link.receive_side()
            if arrived is not None:
                for frame in arrived:
                    self._control(link, frame)
                return
        except BadFrame as error:
            log.error("door %d: a bad frame on its side link: %s", link.door, error)  # noqa: TRY400  # not our bug
        self._poll.unregister(descriptor)
        del self._doors[descriptor]
        link.side.close()
        if self._engine is not None:
            self._engine.forsake(link)  # the main thread may be in a call and see it only afterwards

    def _control(self, link: DoorLink, frame: Frame) -> None:
        if frame.kind == Kind.CANCEL and self._engine is not None:
            self._engine.cancel(link, frame.stream, frames.read_reason(frame))
        elif frame.kind == Kind.CREDIT and self._engine is not None:
            self._engine.credit(link, frame.stream, frames.read_credit(frame))
        elif frame.kind == Kind.PING:
            link.send_side(frames.signal(Kind.PONG, frame.stream))
        else:
            raise BadFrame(f"kind {frame.kind} on a side link")
