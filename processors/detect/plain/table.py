"""The plain detectors by name; all read alike and score in σ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from processors.detect.plain.autoregression import arima
from processors.detect.plain.learnt import isolation_forest, one_class_svm
from processors.detect.plain.setting import Floats, Setting
from processors.detect.plain.smoothing import exponential
from processors.detect.plain.windowed import iqr, mad, moving_average, zscore

Detector = Callable[[Floats, Setting], Floats]
DETECTORS: Mapping[str, Detector] = MappingProxyType(
    {
        "arima": arima,
        "exponential": exponential,
        "iqr": iqr,
        "isolation_forest": isolation_forest,
        "mad": mad,
        "moving_average": moving_average,
        "one_class_svm": one_class_svm,
        "zscore": zscore,
    }
)
DEFAULT = Setting()


def score(detector: str, values: Floats, setting: Setting = DEFAULT) -> Floats:
    """Score each value by those before it.

    Args:
        detector: A name in DETECTORS.
        values: [T], finite.
        setting: What the detector needs of it.

    Returns:
        [T], distances in σ from 0 to the cap; 0 for the first `minimum` points.

    Raises:
        ValueError: there is no such detector, or a value is not finite.

    Examples:
        >>> float(score("mad", np.r_[np.tile([1.0, 2.0, 3.0], 20), 30.0])[-1].round(2))
        18.89
    """
    if detector not in DETECTORS:
        raise ValueError(f"there is no detector {detector!r}; there are {', '.join(DETECTORS)}")
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError("values must be one series of finite numbers; fill gaps in first")
    if values.size <= setting.minimum:
        return np.zeros(values.size)
    return DETECTORS[detector](values, setting)
