"""Values of a scope that its own past does not explain."""

from processors.detect.policy import DetectPolicy, Watch
from processors.detect.state import ENTRY, DetectState, fresh, restore
from processors.detect.step import step

__all__ = ["ENTRY", "DetectPolicy", "DetectState", "Watch", "fresh", "restore", "step"]
