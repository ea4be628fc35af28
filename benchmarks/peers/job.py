"""The job of the batch case, the same as in `services/batch/wrapper.py`; sleeping stands for a device at work."""


def job_seconds(size: int) -> float:
    """How long a batch of this size takes."""
    return 0.005 if size == 1 else 0.006
