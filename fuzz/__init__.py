"""Bytes thrown at every decoder: `python -m fuzz`."""
