import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM

from processors.predict.hierarchy import Cells, given, hierarchy

NOTHING = np.empty((0, 0))


def matrix(tasks: int, models: int, features: np.ndarray = NOTHING) -> Cells:
    """Every model on every task."""
    task, model = (each.ravel() for each in np.indices((tasks, models)))
    return Cells(task, model, features if features.size else np.empty((task.size, 0)))


def test_it_is_the_conditional_normal_of_all_cells() -> None:
    """Against conditioning with tasks of a vast variance."""
    rng = np.random.default_rng(1)
    task = np.eye(2)[[0, 0, 0, 0, 1, 1, 1, 1]]
    seen = np.array([0, 1, 2, 4, 5, 7])
    mean = rng.normal(size=6)
    noise, prior = (
        root @ root.T / 4 for root in (rng.normal(size=(6, 6)), rng.normal(size=(8, 8)))
    )
    _, level, error = given(prior[None], task, seen, mean, noise)
    vast = 1e5 * task @ task.T + prior
    gain = vast[:, seen] @ np.linalg.inv(vast[np.ix_(seen, seen)] + noise)

    np.testing.assert_allclose(gain @ mean, level[0], atol=1e-3)
    np.testing.assert_allclose(vast - gain @ vast[seen], error[0], atol=1e-3)


def test_the_likelihood_is_that_of_the_estimates_whatever_the_tasks_means() -> None:
    """Up to a constant, the density of all contrasts within tasks."""
    rng = np.random.default_rng(2)
    task = np.eye(2)[[0, 0, 0, 1, 1, 1]]
    mean = rng.normal(size=6)
    roots = rng.normal(size=(3, 6, 6))
    priors = roots @ roots.mT
    found, _, _ = given(priors, task, np.arange(6), mean, np.eye(6))
    contrasts = np.linalg.svd(task)[0][:, 2:]
    expected = [
        stats.multivariate_normal.logpdf(
            contrasts.T @ mean, cov=contrasts.T @ (prior + np.eye(6)) @ contrasts
        )
        for prior in priors
    ]

    np.testing.assert_allclose(np.diff(expected), np.diff(found))


def test_the_variances_are_those_of_a_mixed_model() -> None:
    """statsmodels estimates them by restricted likelihood from the answers themselves."""
    rng = np.random.default_rng(3)
    tasks, models, answers = 8, 30, 5
    cells = matrix(tasks, models)
    level = (
        rng.normal(0, 1.0, models)[cells.model]
        + rng.normal(0, 0.5, cells.task.size)
        + rng.normal(0, 3.0, tasks)[cells.task]
    )
    value = level[:, None] + rng.normal(size=(level.size, answers))
    found = hierarchy(
        cells, np.arange(level.size), value.mean(axis=1), np.eye(level.size) / answers
    )
    data = pd.DataFrame(
        {
            "value": value.ravel(),
            "task": np.repeat(cells.task, answers),
            "model": np.repeat(cells.model, answers),
            "cell": np.repeat(np.arange(level.size), answers),
        }
    )
    # a random intercept of the model and one of the cell within it
    fitted = MixedLM.from_formula(
        "value ~ C(task)",
        data,
        groups="model",
        re_formula="1",
        vc_formula={"cell": "0 + C(cell)"},
    ).fit()

    assert np.sqrt(fitted.cov_re.iloc[0, 0]) == pytest.approx(found.effects["model"], rel=0.2)
    assert np.sqrt(fitted.vcomp[0]) == pytest.approx(found.effects["interaction"], rel=0.2)


@pytest.mark.parametrize("spread", [0.0, 0.5, 3.0])
def test_ninety_percent_intervals_hold_nine_of_ten_levels(spread: float) -> None:
    """Whether models differ a lot, little or not at all; in the matrix's unseen cells, too."""
    held = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        cells = matrix(3, 8)
        level = spread * (rng.normal(size=8)[cells.model] + 0.7 * rng.normal(size=24))
        seen = np.sort(rng.permutation(24)[:20])
        found = hierarchy(cells, seen, level[seen] + rng.normal(size=20), np.eye(20))
        radius = stats.norm.ppf(0.95) * np.sqrt(np.diag(found.covariance))
        held.append(abs(found.mean - level) <= radius)

    assert 0.86 < np.mean(held) < (1.0 if spread == 0.0 else 0.94)


def test_it_errs_less_than_each_cell_by_itself() -> None:
    ours, alone = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        cells = matrix(3, 8)
        level = rng.normal(size=8)[cells.model] + 0.5 * rng.normal(size=24)
        mean = level + rng.normal(size=24)
        found = hierarchy(cells, np.arange(24), mean, np.eye(24))
        ours.append(abs(found.mean - level).mean())
        alone.append(abs(mean - level).mean())

    assert np.mean(ours) < 0.8 * np.mean(alone)


def test_a_feature_that_explains_the_levels_speaks_for_what_nobody_tried() -> None:
    price = np.arange(10.0)
    mean = 50 + 4 * price[:9]
    found = hierarchy(matrix(1, 10, price[:, None]), np.arange(9), mean, 0.01 * np.eye(9))

    assert pytest.approx(86, abs=1.0) == found.mean[9]


def test_units_do_not_matter() -> None:
    rng = np.random.default_rng(5)
    cells = matrix(2, 5, rng.normal(size=(10, 2)))
    mean = rng.normal(size=10)
    small, large = (
        hierarchy(cells, np.arange(10), unit * mean, unit**2 * 0.3 * np.eye(10))
        for unit in (1.0, 1000.0)
    )

    np.testing.assert_allclose(1000 * small.mean, large.mean, rtol=1e-8, atol=1e-8)


def test_levels_that_are_all_the_same_stay_so() -> None:
    found = hierarchy(matrix(1, 3), np.arange(3), np.ones(3), np.zeros((3, 3)))

    np.testing.assert_allclose(np.ones(3), found.mean)


@pytest.mark.parametrize(
    ("seen", "mean", "words"),
    [
        ([], [], "one estimate"),
        ([0, 1], [1.0], "one estimate"),
        ([0, 3], [1.0, np.inf], "finite"),
        ([0, 1], [1.0, 2.0], "without any estimate"),
    ],
)
def test_estimates_that_cannot_be_used_are_refused(
    seen: list[int], mean: list[float], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        hierarchy(matrix(2, 3), np.array(seen, int), np.array(mean), np.eye(len(seen)))


def test_cells_without_their_model_are_refused() -> None:
    with pytest.raises(ValueError, match="a task, a model and features"):
        Cells(np.zeros(2, int), np.zeros(1, int), np.empty((2, 0)))
