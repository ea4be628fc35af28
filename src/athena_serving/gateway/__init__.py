"""The HTTP door: a process that terminates HTTP, checks what comes, and hands calls to the crews of this machine.

    asgi ─ intake ─ crew ⇢ worker          back: crew ─ asgi ─ faults

It never runs user code and is never the supervisor, from which it hears who works, and to which it leaves counters.
"""
