"""Rules, constraints and the choice of a model."""

from processors.decide.explain import explain
from processors.decide.policy import DecidePolicy
from processors.decide.state import ENTRY, DecideState, fresh, restore
from processors.decide.step import step

__all__ = ["ENTRY", "DecidePolicy", "DecideState", "explain", "fresh", "restore", "step"]
