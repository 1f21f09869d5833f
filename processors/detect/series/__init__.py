"""Online detectors over numeric series, many at once: how surprising is the next value of each?"""

from processors.detect.series.ensemble import State, fresh, update
from processors.detect.series.policy import SeriesPolicy, chance

__all__ = ["SeriesPolicy", "State", "chance", "fresh", "update"]
