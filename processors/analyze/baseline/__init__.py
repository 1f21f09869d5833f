"""What a metric was like at a time worth remembering, to compare with."""

from processors.analyze.baseline.aligned import Aligned, aligned, alongside
from processors.analyze.baseline.stored import Baseline, BaselinePolicy, Baselines, Kind, take

__all__ = [
    "Aligned",
    "Baseline",
    "BaselinePolicy",
    "Baselines",
    "Kind",
    "aligned",
    "alongside",
    "take",
]
