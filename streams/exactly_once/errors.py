"""What can go wrong in the engine, named for what happens next."""

from __future__ import annotations


class Retake(Exception):
    """The producer or the group is lost. Drop all state and take the partitions over again.

    Attributes:
        code: Kafka's number of the error; None where it will pass by itself.
    """

    def __init__(self, sentence: str, code: int | None = None) -> None:
        super().__init__(sentence)
        self.code = code


class Fenced(Retake):
    """Another producer has begun under this worker's name, or its transaction took too long.

    Attributes:
        newer: Whether a worker of this name that was started later is in the group.
    """

    newer: bool = False


class OutOfStep(Exception):
    """State and offsets disagree. Nothing may be written; the sentence names the command."""


class StepFailed(Exception):
    """A step raised, or wrote what Kafka will never take: a defect, or a setting to mend.

    The worker stops, nothing of the batch is written.
    """


class NamedTwice(Exception):
    """Another worker of this name is alive. They would take the producer from each other."""


class Stuck(Exception):
    """Commits neither end nor fail. Only another process can go on; start the worker again."""
