"""See `aiges.utils.log`."""
