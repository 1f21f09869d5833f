"""Where a series changed: all of it at once, or as it comes."""

from processors.analyze.change_points.offline import Change, Segmenting, Side, changes, fitted

__all__ = ["Change", "Segmenting", "Side", "changes", "fitted"]
