"""How a wrapper sends results of a session at any time, from any thread (wrapper.md 1.4).

    callback(response, sid)             from wrapperWrite, or from a thread of the wrapper's own

The engine opens a `Session` here for as long as the wrapper may send. ASF's releases meant different ids by the second
argument, some of them took two; all of these find their session.
"""

import logging
import threading
from collections.abc import Callable, Iterable

from athena_serving.sdk.data import Response

_log = logging.getLogger(__name__)

DELIVERED = 0
REFUSED = -1
"""What `callback` returns."""

Deliver = Callable[[Response], object]
"""Takes one response of a session, on the thread that sends it, and keeps that waiting while the caller takes no more.

False if nobody takes it any more.
"""


class Session:
    """A session that a wrapper may send to, from `Registry.open` until `close`."""

    def __init__(self, registry: "Registry", tag: str, sid: str, deliver: Deliver) -> None:
        self.tag = tag
        self.sid = sid
        self.handles: tuple[str, ...] = ()
        self.deliver = deliver
        self._registry = registry

    def name(self, handle: object) -> None:
        """Let it be found by its handle as well, which an earlier session may have had."""
        self._registry.name(self, handle)

    def close(self) -> None:
        """From now on `callback` answers -1. Any number of times, on any thread."""
        self._registry.close(self)

    def has(self, name: str) -> bool:
        """Is this one of its ids?"""
        return name in (self.tag, self.sid, *self.handles)


class Registry:
    """The sessions that live in this process. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tags: dict[str, Session] = {}
        self._sids: dict[str, Session] = {}
        self._handles: dict[str, Session] = {}

    def open(self, tag: str, sid: str, deliver: Deliver) -> Session:
        """A session under these ids, which win over those of an older one."""
        session = Session(self, tag, sid, deliver)
        with self._lock:
            self._tags[tag] = self._sids[sid] = session
        return session

    def name(self, session: Session, handle: object) -> None:
        """`Session.name`. Handles count by their text: ASF's bridge made text of them."""
        with self._lock:
            if self._sids.get(session.sid) is session:
                session.handles = (*session.handles, str(handle))
                self._handles[str(handle)] = session

    def close(self, session: Session) -> None:
        """`Session.close`."""
        with self._lock:
            _drop(self._tags, (session.tag,), session)
            _drop(self._sids, (session.sid,), session)
            _drop(self._handles, session.handles, session)

    def find(self, *ids: object) -> Session | None:
        """The session that goes by these ids: each is tried as a tag, then as a sid, then as a handle.

        Handles come from pools and soon belong to somebody else. So a handle counts only if the other ids, if there are
        any, are of the same session: what a late thread sends must not reach the next caller.
        """
        names = [str(one) for one in ids if one is not None and one != ""]
        with self._lock:
            for name in names:
                session = self._tags.get(name) or self._sids.get(name)
                if session is not None:
                    return session
            for name in names:
                session = self._handles.get(name)
                if session is not None and all(map(session.has, names)):
                    return session
        return None


def _drop(names: dict[str, Session], keys: Iterable[str], session: Session) -> None:
    """Forget these names, but for those that are another session's by now."""
    for key in keys:
        if names.get(key) is session:
            del names[key]


sessions = Registry()
"""Those of this process: user code cannot be handed one of its own, since `callback` is a plain function."""


def callback(response: Response, *ids: object) -> int:
    """Send `response` to the caller of a session: 0 if it was handed over, -1 if it was not.

    `ids` is the session's usrTag, sid or handle, or several of them, in any order. -1 is for a session that is unknown
    or has ended, and for a response with an empty list and no error code. An error code ends the session. The response
    whose item has status `DataEnd` is the last. Any thread may call, at any time; it waits while the caller takes no
    more. Raises TypeError for what is no response.
    """
    answer = _response(response)
    if not answer.error_code and not answer.outputs:
        _log.debug("callback for %r has an empty list: nothing was sent", ids)
        return REFUSED
    session = sessions.find(*ids)
    if session is None:
        _log.debug("callback for %r: no session of this name is open", ids)
        return REFUSED
    return REFUSED if session.deliver(answer) is False else DELIVERED


def _response(answer: object) -> Response:
    """A response, or what looks like one: wrappers bring classes of their own."""
    if isinstance(answer, Response):
        return answer
    items = getattr(answer, "list", None)
    if not isinstance(items, list | tuple):
        raise TypeError(f"callback takes a Response, not {type(answer).__name__}")
    return Response(items, getattr(answer, "error_code", 0))


Metric = Callable[[str, str, int], object]
Trace = Callable[[str, str, str], object]


def _log_metric(tag: str, key: str, count: int) -> None:
    _log.debug("metric %s of %s: %d", key, tag, count)


def _log_trace(tag: str, key: str, value: str) -> None:
    _log.debug("trace %s of %s: %s", key, tag, value)


metric_sink: Metric = _log_metric
"""Takes (usrTag, key, count) from user code. Whoever runs the wrapper may put another here; it must not raise."""
trace_sink: Trace = _log_trace
"""Takes (usrTag, key, value). The same holds."""


def callback_metric(usrTag: str, key: str, count: int) -> int:
    """Count something for a call: 0. ASF's open loader crashed here (wrapper.md 1.4)."""
    metric_sink(usrTag, key, count)
    return DELIVERED


def callback_trace(usrTag: str, key: str, value: str) -> int:
    """Note something about a call: 0."""
    trace_sink(usrTag, key, value)
    return DELIVERED
