"""What can go wrong with a measurement, for a person to read."""


class BenchError(Exception):
    """The run cannot go on, or its numbers would mean nothing. `str(error)` names the thing and the remedy."""

    def __init__(self, message: str, *, help: str = "") -> None:  # noqa: A002  # the word that is printed
        super().__init__(f"{message}\n  help: {help}" if help else message)


class NoAnswer(BenchError):
    """Nobody listens, or who listens does not speak HTTP; while a server starts that is to be expected."""


class PeerMissing(BenchError):
    """A peer's environment is absent and cannot be made; the others can still be measured."""
