"""See `aiges.core.types`."""
