"""What a change changes, as numbers."""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt

from processors.predict.history import Proposal, Setting
from schemas.config import LlmConfig

Floats = npt.NDArray[np.float64]

FEATURES = (
    "price",
    "another model",
    "another provider",
    "temperature",
    "top_p",
    "max_tokens",
    "streaming",
)


def features(change: Proposal) -> Floats:
    """What is different after the change [f]; all zero when nothing is.

    Prices and token limits count in factors of e, temperatures in degrees of 1. A setting that one
    of the configs leaves to the application is taken for unchanged, as is an unknown price.
    """
    old, new = change.before.config, change.after.config
    costs = change.before.cost, change.after.cost
    return np.array(
        [
            _factor(*costs),
            float(name_of(old) != name_of(new)),
            float(old.provider != new.provider),
            _difference(old.temperature, new.temperature),
            _difference(old.top_p, new.top_p),
            _factor(old.max_tokens, new.max_tokens),
            _difference(old.streaming, new.streaming),
        ]
    )


def traits(setting: Setting) -> Floats:
    """What there is to say of one config in a scope; NaN for what nobody knows."""
    config = setting.config
    return np.array(
        [
            _logarithm(setting.cost),
            np.nan if config.temperature is None else config.temperature,
            _logarithm(config.max_tokens),
        ]
    )


def name_of(config: LlmConfig) -> str:
    """The model, as the catalog names it."""
    return f"{config.provider}/{config.model}"


def _factor(old: float | None, new: float | None) -> float:
    return log(new / old) if old and new and old > 0 and new > 0 else 0.0


def _difference(old: float | None, new: float | None) -> float:
    return 0.0 if old is None or new is None else float(new) - float(old)


def _logarithm(value: float | None) -> float:
    return log(value) if value and value > 0 else np.nan
