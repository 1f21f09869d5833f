"""The plain detectors, one by one, by name."""

from processors.detect.plain.setting import Setting
from processors.detect.plain.table import DETECTORS, score

__all__ = ["DETECTORS", "Setting", "score"]
