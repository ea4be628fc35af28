"""The language. Meaning without I/O: bytes in, values out, and back.

Messages are what the rooms speak of; frames carry them between processes; the envelope carries them in JSON.
Nothing here opens a socket, reads a clock or sleeps.
"""
