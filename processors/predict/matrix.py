"""What do the scopes that had these models say of this model in this scope?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from processors.predict.features import name_of, traits
from processors.predict.hierarchy import Cells, hierarchy
from processors.predict.history import Level, Outcome, PredictPolicy, Proposal, Setting
from processors.predict.scales import Scale
from processors.predict.similar import Guess

Floats = npt.NDArray[np.float64]
Key = tuple[str, str, float, float, float]  # scope, model, traits


def matrix(
    policy: PredictPolicy,
    outcomes: Sequence[Outcome],
    change: Proposal,
    metric: str,
    scale: Scale,
) -> Guess | None:
    """The level after *change* by `hierarchy` over scopes and models; None without a level now.

    Each outcome, of those that tell of the metric, tells the levels of two cells, before and after.
    Of a cell that is told of more than once the estimates are averaged by precision, each less
    precise by what it has aged. What is predicted of a cell is another stay in it, whose level is
    as far from the cell's as two stays differ: the interaction, once more.
    """
    if metric not in change.current:
        return None
    keys: dict[Key, int] = {}
    settings: list[tuple[str, Setting]] = []
    told: list[tuple[int, Level]] = []
    for scope, setting, level in _told(policy, outcomes, change, metric, scale):
        number = keys.setdefault(_key(scope, setting), len(keys))
        if number == len(settings):
            settings.append((scope, setting))
        told.append((number, level))
    seen = np.unique([number for number, _ in told])
    wanted = keys.setdefault(_key(change.scope, change.after), len(keys))
    if wanted == len(settings):
        settings.append((change.scope, change.after))
    of, value, variance = (
        np.array([number for number, _ in told]),
        np.array([level.value for _, level in told]),
        np.array([level.error**2 for _, level in told]),
    )
    # no estimate is exact: a hundredth of a change that nothing is known of
    precision = 1 / (variance + (0.01 * scale.spread) ** 2)
    whole = np.bincount(of, precision)[seen]
    mean = np.bincount(of, precision * value)[seen] / whole
    found = hierarchy(_cells(settings), seen, mean, np.diag(1 / whole))
    again = found.effects["interaction"] ** 2
    return Guess(
        float(found.mean[wanted]), float(np.sqrt(found.covariance[wanted, wanted] + again))
    )


def _told(
    policy: PredictPolicy,
    outcomes: Sequence[Outcome],
    change: Proposal,
    metric: str,
    scale: Scale,
) -> Iterator[tuple[str, Setting, Level]]:
    """The levels of cells; the present one first."""
    yield change.scope, change.before, scale.on(change.current[metric])
    for outcome in outcomes[-policy.compared :]:
        past = outcome.proposal
        age = max(0, change.at - past.at) / policy.half_life_ms
        for setting, levels in ((past.before, past.current), (past.after, outcome.reached)):
            level = scale.on(levels[metric])
            yield past.scope, setting, Level(level.value, level.error * 2 ** (age / 2))


def _key(scope: str, setting: Setting) -> Key:
    _, temperature, tokens = np.nan_to_num(traits(setting), nan=-1.0).tolist()
    streaming = setting.config.streaming
    return (
        scope,
        name_of(setting.config),
        temperature,
        tokens,
        -1.0 if streaming is None else float(streaming),
    )


def _cells(settings: Sequence[tuple[str, Setting]]) -> Cells:
    """What is not known of a cell is the mean of its scope, which tells nothing."""
    _, task = np.unique([scope for scope, _ in settings], return_inverse=True)
    names = [name_of(setting.config) for _, setting in settings]
    _, model = np.unique(names, return_inverse=True)
    known = np.array([traits(setting) for _, setting in settings])
    for number in range(task.max() + 1):
        rows = known[task == number]
        there = ~np.isnan(rows)
        mean = np.where(there, rows, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        known[task == number] = np.where(there, rows, mean)
    return Cells(task, model, known)
