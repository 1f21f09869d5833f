"""Events in, one summary per commit, key and minute out."""

from processors.collect.policy import CollectPolicy
from processors.collect.reading import Read
from processors.collect.state import ENTRY, CollectMark, CollectState, absorb, fresh, restore
from processors.collect.step import step

__all__ = [
    "ENTRY",
    "CollectMark",
    "CollectPolicy",
    "CollectState",
    "Read",
    "absorb",
    "fresh",
    "restore",
    "step",
]
