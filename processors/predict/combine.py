"""One guess of many, each trusted by how far off it was."""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum, sqrt

from processors.predict.history import Tally
from processors.predict.similar import Guess

CLAIMED = 3.0  # outcomes that a method's own standard deviation counts for


def shares(guesses: Mapping[str, Guess], tallies: Mapping[str, Tally]) -> dict[str, float]:
    """What each method weighs, 1 in all: one over the mean square of its errors, squared.

    A method that was never tried is believed what it says of itself, its standard deviation; with
    each outcome that weighs less beside its record. The square leaves little to methods that are
    right only where a better one is right, too. Reference: Bates & Granger, "The combination of
    forecasts", 1969; Stock & Watson, "Combination forecasts of output growth in a seven-country
    data set", J. Forecasting 2004.

    >>> tried = {"a": Tally(97.0, 97.0)}
    >>> shares({"a": Guess(1.0, 1.0), "b": Guess(3.0, 1.0)}, tried)
    {'a': 0.5, 'b': 0.5}
    """
    precision = {}
    for method, guess in guesses.items():
        tally = tallies.get(method, Tally())
        square = (CLAIMED * guess.sd**2 + tally.squares) / (CLAIMED + tally.count)
        precision[method] = 1 / square**2
    whole = fsum(precision.values())
    return {method: value / whole for method, value in precision.items()}


def combine(guesses: Mapping[str, Guess], parts: Mapping[str, float]) -> Guess:
    """The mixture's mean and standard deviation: methods that disagree widen it."""
    mean = fsum(parts[method] * guess.mean for method, guess in guesses.items())
    variance = fsum(
        parts[method] * (guess.sd**2 + (guess.mean - mean) ** 2)
        for method, guess in guesses.items()
    )
    return Guess(mean, sqrt(variance))
