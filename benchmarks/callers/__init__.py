"""Callers of streams, a process of their own: what wrk is for requests, for chunks, sessions and paced frames.

`python -m benchmarks.callers` reads an order from standard input, calls for as long as it says, and prints one line as
`post.lua` does. It parses no more than it must: it looks for the mark that stands in every piece. Events, sockets and
sound say what one caller does, the tally what came of all.
"""
