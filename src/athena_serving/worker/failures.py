"""What user code's failures become: a reply in ASF's words, and a line in the log with the sid and the place."""

import logging
from typing import Final

from athena_serving.errors import WrapperError
from athena_serving.sdk.binding import bind
from athena_serving.wire.messages import Reply
from athena_serving.worker import load, remedies
from athena_serving.worker.interrupts import CallInterrupted

log = logging.getLogger(__name__)

UNSAID: Final = -1
"""The code of a failure that the wrapper gave none (wrapper.md 2.3)."""


class Failures:
    """Asks one wrapper what its error codes mean."""

    def __init__(self, wrapper: object, file: str) -> None:
        self._wrapper = wrapper
        self._file = file
        self._explain = bind(load.method_or_default(wrapper, "wrapperError"), "error")

    def text(self, code: object) -> str:
        """What the wrapper says about one of its codes; empty if it says nothing, or raises."""
        try:
            return str(self._explain({"code": code}) or "")
        except CallInterrupted:
            raise
        except BaseException:  # user code
            log.exception("wrapperError(%r) raised", code)
            return ""

    def coded(self, kind: type[WrapperError], code: object) -> Reply:
        """The wrapper answered with an error code."""
        return said(kind, self.text(code), code)

    def raised(self, kind: type[WrapperError], method: str, error: BaseException, sid: str) -> Reply:
        """One of the wrapper's methods raised; the caller gets the error's text, the log its traceback."""
        self.note(method, error, sid)
        return said(kind, load.words(error))

    def note(self, method: str, error: BaseException, sid: str) -> None:
        """Log an error of user code's, with its place, the traceback from there on, and what helps."""
        frame = load.own_frame(error, self._file)
        place = "" if frame is None else f" ({self._file} line {frame.lineno})"
        help_text = remedies.remedy(error, load.words(error), (frame and frame.line) or "")
        fields = {"sid": sid, "help": help_text} if help_text else {"sid": sid}
        raised = (type(error), error, load.own_trace(error, self._file))
        log.error("%s raised %s%s", method, type(error).__name__, place, exc_info=raised, extra={"fields": fields})

    def slip(self, kind: type[WrapperError], method: str, words: str, *, sid: str, help_text: str) -> Reply:
        """A method answered with what is no answer: the caller gets the words, the log what helps as well."""
        code = getattr(getattr(self._wrapper, method, None), "__code__", None)
        place = f" ({self._file} line {code.co_firstlineno})" if code is not None else ""
        log.error("%s%s", words, place, extra={"fields": {"sid": sid, "help": help_text}})
        return said(kind, words)


def said(kind: type[WrapperError], text: str, code: object = UNSAID) -> Reply:
    """ASF's words: `<wrapperError(n)>;code=n` (http-api.md 4.4)."""
    # A lone surrogate in a file's name, say, which no message between processes can carry.
    return Reply(code=kind.code, message=f"{text};code={code}".encode(errors="backslashreplace").decode())
