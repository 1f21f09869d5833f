"""A value and its change against a model of the window that is learnt anew now and then."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from processors.detect.plain import forest, support
from processors.detect.plain.setting import TO_SIGMA, Floats, Setting, in_sigmas

Strangeness = Callable[[Floats], Floats]  # [n, 2] → [n], higher is stranger
Learn = Callable[[Floats, Setting, int], Strangeness]


def isolation_forest(values: Floats, setting: Setting) -> Floats:
    """How soon random cuts part a value and its change from the window's."""
    return _scores(values, setting, forest.learn)


def one_class_svm(values: Floats, setting: Setting) -> Floats:
    """How far a value and its change lie outside of the region that holds most of the window."""
    return _scores(values, setting, support.learn)


def _scores(values: Floats, setting: Setting, learn: Learn) -> Floats:
    """Strangeness above the window's median, in the window's robust σ of it."""
    points = np.column_stack([values, np.diff(values, prepend=values[:1])])
    scores = np.zeros(values.size)
    for first in range(setting.minimum, values.size, setting.refit):
        past = points[max(1, first - setting.window) : first]
        center = np.median(past, axis=0)
        scale = TO_SIGMA * np.median(np.abs(past - center), axis=0)
        scale = np.where(scale > 0, scale, np.maximum(past.std(axis=0), 1e-12))
        strangeness = learn((past - center) / scale, setting, first)
        usual = strangeness((past - center) / scale)
        now = strangeness((points[first : first + setting.refit] - center) / scale)
        middle = float(np.median(usual))
        sigma = TO_SIGMA * float(np.median(np.abs(usual - middle)))
        above = np.maximum(now - middle, 0.0)
        scores[first : first + now.size] = in_sigmas(above, np.full(now.size, sigma), setting)
    return scores
