"""Athena Serving beside FastAPI and MOSEC: the same work, the same machine, the same minutes.

`python -m benchmarks` runs it, README.md says how the numbers are made. Cases say what is asked, servers who is
asked and how, processes own what was started, load drives wrk or our own callers, rounds interleave, report writes the
results, chart draws them and published puts them into the documents.
"""
