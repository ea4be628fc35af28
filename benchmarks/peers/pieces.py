"""The chunks of a stream, the same as in `services/chunks/wrapper.py`."""

PIECES = [f"piece {number:010d}" for number in range(100)]
