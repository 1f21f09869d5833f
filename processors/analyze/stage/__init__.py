"""Trends, changes, forecasts and comparisons of every scope, as its windows close."""

from processors.analyze.stage.policy import AnalyzePolicy, Measure, Span
from processors.analyze.stage.state import ENTRY, AnalyzeState, fresh, restore
from processors.analyze.stage.step import step

__all__ = ["ENTRY", "AnalyzePolicy", "AnalyzeState", "Measure", "Span", "fresh", "restore", "step"]
