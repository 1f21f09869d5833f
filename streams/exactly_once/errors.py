"""What can go wrong in the engine, named for what happens next."""

from __future__ import annotations


class Retake(Exception):
    """The producer or the group is lost. Drop all state and take the partitions over again."""


class OutOfStep(Exception):
    """State and offsets disagree. Nothing may be written; the sentence names the command."""


class StepFailed(Exception):
    """A step raised: a defect. The worker stops, nothing of the batch is written."""


class Stuck(Exception):
    """A commit neither ends nor fails. Only another process can go on; start the worker again."""
