"""Athena Serving: one file, `wrapper.py`, becomes an inference service. docs/architecture.md draws the rooms."""

__version__ = "0.1.0"
