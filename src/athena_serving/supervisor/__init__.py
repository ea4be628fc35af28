"""The composition root of `athena serve`: owns every child, the sockets and the shared pages, and carries no calls.

    service ─ fleet ─ place ─ child        a service's generations, their places, the process in each
            └ doors ─ child

It runs no user code and imports nothing heavy; it watches processes by descriptor and never polls.
"""
