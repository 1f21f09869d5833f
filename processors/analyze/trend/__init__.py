"""Which way a series goes, and whether that is good."""

from processors.analyze.trend.direction import Direction, Good, Trend, good_of, trend, trends, way

__all__ = ["Direction", "Good", "Trend", "good_of", "trend", "trends", "way"]
