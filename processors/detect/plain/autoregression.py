"""A value against what the last differences let expect: ARIMA(p, d, 0)."""

from __future__ import annotations

import numpy as np

from processors.detect.plain.setting import Floats, Setting, in_sigmas


def fit(series: Floats, order: int) -> tuple[Floats, float]:
    """Least squares of each value on a constant and the *order* before it.

    Args:
        series: [n], n above 2 × order + 1.
        order: p.

    Returns:
        Constant and coefficients, nearest lag first, [p + 1]; standard deviation of the residuals
        with n − 2 p − 1 degrees of freedom.
    """
    lags = _lags(series, order)
    target = series[order:]
    coefficients, *_ = np.linalg.lstsq(lags, target, rcond=None)
    rest = target - lags @ coefficients
    freedom = max(target.size - order - 1, 1)
    return np.asarray(coefficients, np.float64), float(np.sqrt(rest @ rest / freedom))


def arima(values: Floats, setting: Setting) -> Floats:
    """Distance to the one-step forecast in σ; fitted anew to the window every `refit` points."""
    series = np.diff(values, n=setting.differences)
    scores, start, order = np.zeros(values.size), setting.minimum, setting.order
    for first in range(start, values.size, setting.refit):
        # The value at i is behind the difference at i − d.
        here, past = first - setting.differences, min(setting.window, first - setting.differences)
        coefficients, sigma = fit(series[here - past : here], order)
        stretch = series[here - order : here + setting.refit]
        error = stretch[order:] - _lags(stretch, order) @ coefficients
        scores[first : first + error.size] = in_sigmas(error, np.full(error.size, sigma), setting)
    return scores


def _lags(series: Floats, order: int) -> Floats:
    columns = [series[order - lag : series.size - lag] for lag in range(1, order + 1)]
    return np.column_stack([np.ones(series.size - order), *columns])
