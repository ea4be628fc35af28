"""Threads for sessions: old stream wrappers keep a pool of them, one a session (wrapper.md 1.8).

    SessionManager ── ThreadPool ── WorkerThread, known by its handle ── StreamHandleThread, the wrapper's own code
                                        in_q: what wrapperWrite puts ──►   run(): takes it, sends by callback

All threads are daemons: a wrapper that forgets them must not keep its process. New wrappers need none of this; they may
call `callback` from any thread.
"""

import logging
import queue
import threading
from collections.abc import Callable, Mapping

from athena_serving.sdk.callback import callback
from athena_serving.sdk.constants import PROCESS_MODE, THREAD_MODE
from athena_serving.sdk.context import running

TYPE_CHECKING = False  # not typing's: it costs 5 ms of every start
if TYPE_CHECKING:
    from typing import Any

_log = logging.getLogger(__name__)


class StreamHandleThread(threading.Thread):
    """Extend it: `init_model` loads what the thread needs, `run` takes requests from `in_q` and sends results.

    `session_thread` is the `WorkerThread` that it belongs to: it has the session's sid, params and callback_fn.
    """

    def __init__(self, session_thread: "WorkerThread", in_q: "queue.Queue[Any]", out_q: "queue.Queue[Any]") -> None:
        super().__init__(daemon=True)
        self.session_thread = session_thread
        self.in_q = in_q
        self.out_q = out_q
        self.is_stopping = False
        """Loops of user code ask."""
        self._ending = threading.Event()

    def init_model(self, *args: object, **kwargs: object) -> None:
        """Load what the thread needs. `run` calls it, here with the handle."""

    def infer(self, req: object) -> object:
        """Work on one request. For `run` to call; does nothing here."""
        return None

    def run(self) -> None:
        """Load, then do nothing until `stop`: what to do with requests is for the wrapper to say."""
        self.init_model(self.session_thread.handle)
        self._ending.wait()

    def stop(self) -> None:
        """Ask the thread to end. One that waits for `in_q` does not hear it."""
        self.is_stopping = True
        self._ending.set()


class WorkerThread(threading.Thread):
    """A place for one session at a time, and the thread that keeps the wrapper's own going."""

    def __init__(self, handle: str) -> None:
        super().__init__(name=handle, daemon=True)
        self.handle = handle
        self.sid = ""
        self.params: Mapping[str, str] = {}
        self.in_q: queue.Queue[Any] = queue.Queue()
        self.out_q: queue.Queue[Any] = queue.Queue()
        self.is_idle = True
        self.is_stopping = False
        self.owner = ""
        """Sid of the call that took it from the pool; empty where that was done outside of a call."""
        self.callback_fn: Callable[..., object] = callback
        self.StreamHandleThreadClass: Callable[..., StreamHandleThread] = StreamHandleThread
        self._handler: StreamHandleThread | None = None

    @property
    def idle(self) -> bool:
        """May a session have it?"""
        return self.is_idle

    def setStreamHandleThreadClass(self, cls: "Callable[..., StreamHandleThread]") -> None:
        """The wrapper's class; counts if it comes before `start`."""
        self.StreamHandleThreadClass = cls

    def setup_sid(self, sid: str) -> None:
        """The session's id."""
        self.sid = sid

    def setup_params(self, params: Mapping[str, str]) -> None:
        """The session's parameters; it is taken from here on."""
        self.params = params
        self.is_idle = False

    def setup_callback_fn(self, callback: Callable[..., object]) -> None:
        """The function by which results are sent: `callback_fn(response, sid)`. Without it, `callback`."""
        self.callback_fn = callback

    def reset(self) -> None:
        """Forget the session, with what still waits in its queues, and be idle."""
        _empty(self.in_q)
        _empty(self.out_q)
        self.sid = ""
        self.params = {}
        self.is_idle = True

    def run(self) -> None:
        """Make the wrapper's thread, start it and wait for its end."""
        try:
            self._handler = handler = self.StreamHandleThreadClass(self, self.in_q, self.out_q)
            handler.daemon = True
            handler.start()
        except Exception:  # user code: its constructor
            _log.exception("the thread of handle %s cannot be made: no session will get it", self.handle)
            return
        handler.join()
        if not self.is_stopping:
            _log.error("the thread of handle %s has ended: no session will get it any more", self.handle)

    def stop(self) -> None:
        """Ask the wrapper's thread to end."""
        self.is_stopping = True
        if self._handler is not None:
            self._handler.stop()


class ThreadPool:
    """`nums` threads, started at once, called Process-<processs_no>-Thread-<number>."""

    def __init__(
        self,
        cls: "Callable[..., StreamHandleThread]",
        processs_no: int = 0,  # ASF's spelling
        nums: int = 10,
    ) -> None:
        self._lock = threading.Lock()
        self.workers: dict[str, WorkerThread] = {}
        for number in range(nums):
            worker = WorkerThread(f"Process-{processs_no}-Thread-{number}")
            worker.setStreamHandleThreadClass(cls)
            self.workers[worker.handle] = worker
            worker.start()

    def get_thread(self, handle: object) -> WorkerThread | None:
        """The thread of a handle; None if there is no such."""
        return self.workers.get(handle) if isinstance(handle, str) else None

    def take(self, owner: str = "") -> WorkerThread | None:
        """An idle thread, which is taken thereby; None if there is none."""
        with self._lock:
            for worker in self.workers.values():
                if worker.is_idle and worker.is_alive():
                    worker.is_idle = False
                    worker.owner = owner
                    return worker
        return None

    def stop(self) -> None:
        """Ask all threads to end."""
        for worker in self.workers.values():
            worker.stop()


class SessionManager:
    """Gives each session a thread of a pool: `self.session` of a wrapper.

    in wrapperInit     self.session.init_handle_pool("thread", 4, MyThread)
    in wrapperCreate   handle = self.session.get_idle_handle(); self.session.get_session(handle).setup_sid(sid)
    in wrapperWrite    self.session.get_session(handle).in_q.put(req)
    in wrapperDestroy  self.session.push_back(handle)
    """

    def __init__(self, config: Mapping[str, str] | None = None, mode: str = THREAD_MODE, nums: int = 0) -> None:
        self.wrapperConfig: Mapping[str, str] = config or {}
        self.initialized = False
        self.code = 0
        self.handle_pool: ThreadPool | None = None

    def init_wrapper_config(self, config: Mapping[str, str] | None = None) -> None:
        """Keep the wrapper's configuration, as `wrapperConfig`."""
        self.wrapperConfig = config or {}

    def init_handle_pool(self, mode: str, nums: int, ReqThreadCls: "Callable[..., StreamHandleThread]") -> None:
        """Start `nums` threads of this class, in the place of those of an earlier pool.

        Processes, which ASF never had working, are the server's: `mode` "process" gives threads as well.
        """
        if mode == PROCESS_MODE:
            _log.warning("a pool of processes is not offered: threads instead; [workers] count gives more processes")
        before, self.handle_pool = self.handle_pool, ThreadPool(ReqThreadCls, nums=int(nums))
        self.initialized = True
        if before is not None:
            before.stop()

    def get_session(self, handle: object) -> WorkerThread | None:
        """The thread of a handle; None if there is no such."""
        return None if self.handle_pool is None else self.handle_pool.get_thread(handle)

    def get_idle_handle(self) -> str | None:
        """The handle of an idle thread, which is taken thereby; None if all are taken."""
        call = running()
        taken = None if self.handle_pool is None else self.handle_pool.take("" if call is None else call.sid)
        return None if taken is None else taken.handle

    def set_idle_session(self, handle: object) -> None:
        """Let another session have the thread, with its queues as they are."""
        worker = self._own(handle)
        if worker is not None:
            worker.is_idle = True

    def reset_session(self, handle: object) -> None:
        """Forget the session, with what still waits in its queues, and let another have the thread."""
        worker = self._own(handle)
        if worker is not None:
            worker.reset()

    def push_back(self, handle: object) -> None:
        """The same."""
        self.reset_session(handle)

    def _own(self, handle: object) -> WorkerThread | None:
        """The thread of a handle, unless it is another session's by now: wrappers give one back twice or thrice."""
        worker = self.get_session(handle)
        call = running()
        if worker is None or call is None or worker.owner in ("", call.sid):
            return worker
        return None


def _empty(waiting: "queue.Queue[Any]") -> None:
    while True:
        try:
            waiting.get_nowait()
        except queue.Empty:
            return


# ── exported by ASF, used by no wrapper known ─────────────────────────────────────────────────────


class ReqHandleThread(StreamHandleThread):
    """Earlier name of `StreamHandleThread`."""


class RequestPool(ThreadPool):
    """Earlier name of `ThreadPool`."""


class Context:
    """A bag of attributes. No relation of `athena_serving.sdk.Context`, which is the call at hand."""

    def __init__(self, **values: object) -> None:
        self.__dict__.update(values)


class _Process:
    """What ASF meant for processes, and documented as unusable."""

    def __init__(self, *_: object, **__: object) -> None:
        raise NotImplementedError(
            f"{type(self).__name__} never worked in ASF and is here by name only: more processes are [workers] count"
        )


class ModelProcess(_Process):
    """By name only."""


class WorkerProcess(_Process):
    """By name only."""


class ProcessThreadPool(_Process):
    """By name only."""
