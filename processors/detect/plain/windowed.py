"""A value against the values before it: z-score, quartiles, MAD, moving average."""

from __future__ import annotations

import numpy as np

from processors.detect.plain.setting import TO_SIGMA, Floats, Setting, in_sigmas

QUARTILE = 0.6744897501960817  # Φ⁻¹(3/4)


def trailing(values: Floats, window: int) -> Floats:
    """[T, window]: before each point the *window* points, NaN where there are none."""
    padded = np.concatenate([np.full(window, np.nan), values])[:-1]
    return np.lib.stride_tricks.sliding_window_view(padded, window)


def zscore(values: Floats, setting: Setting) -> Floats:
    """Distance to the mean of the window in its standard deviations; not robust, on purpose."""
    past = trailing(values, setting.window)[setting.minimum :]
    sigma = np.nanstd(past, axis=1, ddof=1)
    return _late(
        values, in_sigmas(_now(values, setting) - np.nanmean(past, axis=1), sigma, setting)
    )


def iqr(values: Floats, setting: Setting) -> Floats:
    """Beyond the quartiles of the window; Tukey's fence of 1.5 ranges is at 2.7 σ.

    Within the quartiles the score is 0; beyond it is what it would be of a normal sample.
    Reference: Tukey, Exploratory Data Analysis, 1977.
    """
    past = trailing(values, setting.window)[setting.minimum :]
    low, high = np.nanquantile(past, [0.25, 0.75], axis=1)
    now, sigma = _now(values, setting), (high - low) / (2 * QUARTILE)
    beyond = np.maximum(np.maximum(low - now, now - high), 0.0)
    return _late(
        values, in_sigmas(np.where(beyond > 0, beyond + QUARTILE * sigma, 0.0), sigma, setting)
    )


def mad(values: Floats, setting: Setting) -> Floats:
    """Distance to the median in scaled median absolute deviations (Iglewicz & Hoaglin 1993)."""
    past = trailing(values, setting.window)[setting.minimum :]
    median = np.nanmedian(past, axis=1)
    sigma = TO_SIGMA * np.nanmedian(np.abs(past - median[:, None]), axis=1)
    return _late(values, in_sigmas(_now(values, setting) - median, sigma, setting))


def moving_average(values: Floats, setting: Setting) -> Floats:
    """Distance to the mean of the last few points, in standard deviations of such distances."""
    few = trailing(values, setting.average)
    known = np.isfinite(few).all(axis=1)
    error = np.where(known, values - few.mean(axis=1), np.nan)
    sigma = np.nanstd(trailing(error, setting.window)[setting.minimum :], axis=1)
    return _late(values, in_sigmas(error[setting.minimum :], sigma, setting))


def _now(values: Floats, setting: Setting) -> Floats:
    return values[setting.minimum :]


def _late(values: Floats, scores: Floats) -> Floats:
    return np.concatenate([np.zeros(values.size - scores.size), scores])
