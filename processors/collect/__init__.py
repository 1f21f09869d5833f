"""Events in, one summary per commit, key and minute out."""

from processors.collect.policy import CollectPolicy
from processors.collect.reading import Read
from processors.collect.state import (
    ENTRY,
    CollectEntry,
    CollectMark,
    CollectState,
    absorb,
    fresh,
    restore,
)
from processors.collect.step import step

__all__ = [
    "ENTRY",
    "CollectEntry",
    "CollectMark",
    "CollectPolicy",
    "CollectState",
    "Read",
    "absorb",
    "fresh",
    "restore",
    "step",
]
