"""A value against what exponential smoothing expects."""

from __future__ import annotations

import numpy as np

from processors.detect.plain.setting import Floats, Setting, in_sigmas
from processors.detect.plain.windowed import trailing


def expected(values: Floats, setting: Setting) -> Floats:
    """The forecast of each point from those before it: additive level, trend and season.

    Winters, Management Science 6 (1960), in the form of errors: level and trend follow the value
    less its season, the season the value less level and trend as they were. It begins at the
    first value without trend or season.

    Args:
        values: [T], finite.
        setting: Weights, and the period; 0 for no season.
    """
    level, trend = float(values[0]) if values.size else 0.0, 0.0
    season = [0.0] * max(setting.period, 1)
    gamma = setting.season if setting.period else 0.0
    forecasts = np.empty(values.size)
    for at, value in enumerate(values.tolist()):
        phase = at % len(season)
        usual, ahead = season[phase], level + trend
        forecasts[at] = ahead + usual
        season[phase] = gamma * (value - ahead) + (1.0 - gamma) * usual
        before, level = level, setting.level * (value - usual) + (1.0 - setting.level) * ahead
        trend = setting.trend * (level - before) + (1.0 - setting.trend) * trend
    return forecasts


def exponential(values: Floats, setting: Setting) -> Floats:
    """Distance to the forecast in standard deviations of the window's distances."""
    start = max(setting.minimum, 2 * setting.period)
    scores = np.zeros(values.size)
    if values.size > start:
        error = values - expected(values, setting)
        sigma = np.nanstd(trailing(error, setting.window)[start:], axis=1)
        scores[start:] = in_sigmas(error[start:], sigma, setting)
    return scores
