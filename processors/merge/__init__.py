"""Partial summaries in, windows of one minute to seven days out."""

from processors.merge.pending import absorb
from processors.merge.policy import MergePolicy
from processors.merge.state import ENTRY, MergeEntry, MergeState, fresh, restore
from processors.merge.step import step

__all__ = [
    "ENTRY",
    "MergeEntry",
    "MergePolicy",
    "MergeState",
    "absorb",
    "fresh",
    "restore",
    "step",
]
