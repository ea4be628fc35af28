"""See `aiges.concurrent.fixpool`."""
