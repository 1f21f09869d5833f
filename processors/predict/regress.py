"""How much of a change is due to each thing that was changed?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from processors.predict.similar import Guess

Floats = npt.NDArray[np.float64]

RIDGES = (0.1, 1.0, 10.0, 100.0)  # precision of a coefficient, in units of the noise's
SHAPE = 2.0  # of the noise's prior: as four changes with the spread that nothing is known of


@dataclass(frozen=True, slots=True)
class Regression:
    """Coefficients of the features, averaged over the ridges."""

    coefficients: Floats  # [f]
    means: Floats  # [r, f]
    covariances: Floats  # [r, f, f] in units of the noise
    noise: Floats  # [r] scale² of the noise
    weights: Floats  # [r]
    freedom: float  # of Student's distribution of what is predicted

    def guess(self, features: Floats) -> Guess:
        """The change that *features* [f] would make."""
        means = self.means @ features
        squares = self.noise * (1 + self.covariances @ features @ features)
        mean = float(self.weights @ means)
        variance = squares * self.freedom / (self.freedom - 2) + (means - mean) ** 2
        return Guess(mean, float(np.sqrt(self.weights @ variance)))


def regress(features: Floats, changes: Floats, weights: Floats, spread: float) -> Regression:
    """Bayesian ridge regression without an intercept: what changes nothing has no effect.

        change = features·β + noise,   β ~ N(0, σ²/λ),   noise ~ N(0, σ²/weight),
        σ² ~ inverse gamma(2, 2·spread²)

    and the posterior is averaged over λ by the evidence of each. Reference: Bishop, "Pattern
    Recognition and Machine Learning", 2006, section 3.5; Raftery, Madigan & Hoeting, "Bayesian
    model averaging for linear regression models", JASA 1997.

    Args:
        features: [n, f], n may be 0.
        changes: [n] on the metric's scale.
        weights: [n] in (0, 1].
        spread: standard deviation of a change that nothing is known of.
    """
    root = np.sqrt(weights)
    x, y = features * root[:, None], changes * root
    shape = SHAPE + len(y) / 2
    means, covariances, noise, evidence = [], [], [], []
    for ridge in RIDGES:
        precision = x.T @ x + ridge * np.eye(features.shape[1])
        covariance = np.linalg.inv(precision)
        mean = covariance @ (x.T @ y)
        rate = SHAPE * spread**2 + 0.5 * (y @ y - mean @ precision @ mean)
        means.append(mean)
        covariances.append(covariance)
        noise.append(rate / shape)
        evidence.append(
            0.5 * (len(mean) * np.log(ridge) - np.linalg.slogdet(precision)[1])
            - shape * np.log(rate)
            + gammaln(shape)
        )
    odds = np.exp(np.array(evidence) - max(evidence))
    odds /= odds.sum()
    return Regression(
        odds @ np.array(means),
        np.array(means),
        np.array(covariances),
        np.array(noise),
        odds,
        2 * shape,
    )
