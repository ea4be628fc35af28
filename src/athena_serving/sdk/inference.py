"""A thread that works on one session's requests, and a pool to keep such in (wrapper.md 1.8)."""

import logging
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

TYPE_CHECKING = False  # not typing's: it costs 5 ms of every start
if TYPE_CHECKING:
    from typing import Any, Final

_log = logging.getLogger(__name__)

_END: "Final" = object()
"""In a worker's queue: nothing comes after it."""


class InferClass(ABC):
    """Extend it: `predict` works on one request and says whether that was the last."""

    handle: object = None

    @abstractmethod
    def predict(self, *args: "Any", **kwargs: "Any") -> tuple[object, bool]:
        """Work on `req`; the answer is (anything, was it the last?). Results are sent by `callback`."""

    def setHandle(self, hdl: object) -> None:
        """The session's handle, as `handle`."""
        self.handle = hdl


class Worker(threading.Thread):
    """A thread that hands what comes into `in_q` to an `InferClass`, until that says that it was the last.

    `_type` and `nums` are kept and mean nothing, as in ASF.
    """

    def __init__(
        self,
        name: str | None = None,
        _type: str = "thread",
        nums: int = 1,
        context: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.nums = nums
        self.context = context or {}
        self.in_q: queue.Queue[Any] = queue.Queue()
        self.out_q: queue.Queue[Any] = queue.Queue()
        self.infer_class: InferClass | None = None
        self.infer_func: Callable[..., tuple[object, bool]] | None = None
        self.callback_fn: Callable[..., object] | None = None
        self.is_stopping = False

    def register_infer_class(self, instance: InferClass) -> None:
        """What works on requests."""
        self.infer_class = instance

    def register_infer_func(self, infer: Callable[..., tuple[object, bool]]) -> None:
        """The same as a function, for where there is no class."""
        self.infer_func = infer

    def register_callback(self, cb: Callable[..., object]) -> None:
        """Keep it as `callback_fn`, for the wrapper's use."""
        self.callback_fn = cb

    def setHandle(self, hdl: object) -> None:
        """Tell the `InferClass` its session's handle."""
        if self.infer_class is not None:
            self.infer_class.setHandle(hdl)

    def create(self, params: Mapping[str, str] | None = None) -> None:
        """Does nothing: to be overridden."""

    def run(self) -> None:
        """Work until the last request, or `stop`."""
        infer = self.infer_func if self.infer_class is None else self.infer_class.predict
        if infer is None:
            _log.error("worker %s has nothing to work with: register_infer_class(...) comes before start()", self.name)
            return
        while not self.is_stopping:
            req = self.in_q.get()
            if req is _END:
                return
            _, is_last = infer(req=req)
            if is_last:
                return

    def stop(self) -> None:
        """End after the request that it works on."""
        self.is_stopping = True
        self.in_q.put(_END)


class FixedPool:
    """At most `capacity` objects, by keys that it gives them. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self.capacity = 1
        self.allocated = 0
        self.pool: dict[str, Any] = {}
        self._made = 0
        self._lock = threading.Lock()

    def set_capacity(self, c: int) -> None:
        """From now on at most so many; those that are there stay."""
        self.capacity = c

    def get(self, key: str) -> "Any":
        """The object of a key; None if there is no such."""
        return self.pool.get(key)

    def add(self, obj: object) -> tuple[bool, str]:
        """Keep an object: (True, its key), or (False, "") if the pool is full. No key is given twice."""
        with self._lock:
            if self.allocated >= self.capacity:
                return False, ""
            key = f"worker-{self._made}"
            self._made += 1
            self.pool[key] = obj
            self.allocated = len(self.pool)
            return True, key

    def remove(self, key: str) -> bool:
        """Let go of an object, if there is one of this key. True."""
        with self._lock:
            self.pool.pop(key, None)
            self.allocated = len(self.pool)
        return True

    def clear_all(self) -> None:
        """Let go of all."""
        with self._lock:
            self.pool.clear()
            self.allocated = 0
