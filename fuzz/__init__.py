"""Bytes thrown at every decoder. `python -m fuzz` runs all; README.md says how to repeat a finding."""
