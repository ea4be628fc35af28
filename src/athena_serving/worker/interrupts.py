"""Interrupting user code: an exception that the interpreter raises in its thread at the next bytecode.

It may come late, when user code has just returned. So whoever takes user code back lets it come (`let_come`), under the
lock under which it was asked for; afterwards nothing can come any more. It is never withdrawn: CPython keeps looking
for a withdrawn one at every call, which makes all code of the process slower, and in 3.11 hangs code that is traced.
"""

import ctypes


class CallInterrupted(BaseException):
    """Raised inside user code when nobody waits for its answer any more.

    Not an `Exception`, so that a wrapper's `except Exception` lets it through.
    """


def raise_in(thread: int) -> None:
    """Have the interpreter raise `CallInterrupted` in a thread."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(CallInterrupted))


def let_come() -> None:
    """An error that was asked for in this thread is raised when a function is entered, at the latest."""
