import numpy as np
import pytest

from processors.predict.answers import BORROWED, DOUBT, Levels, levels


def drawn(seed: int) -> tuple[np.ndarray, ...]:
    """Answers of three models on two tasks, each to some of 40 items, some of them twice."""
    rng = np.random.default_rng(seed)
    task, model, item = (rng.integers(0, top, 200) for top in (2, 3, 40))
    hard = rng.normal(size=(2, 40))
    return task, model, item, model + 0.8 * hard[task, item] + rng.normal(size=200)


def least_squares(found: Levels, answers: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """The same by the whole covariance of all answers."""
    task, model, item, value = answers
    spread = {int(t): s for t, s in zip(found.task, found.spread, strict=True)}
    sigma = np.array([spread[t] for t in task])
    same = (task[:, None] == task) & (item[:, None] == item)
    rho = found.likeness
    whole = np.sqrt(np.outer(sigma, sigma)) * (rho * same + (1 - rho) * np.eye(len(task)))
    design = ((task[:, None] == found.task) & (model[:, None] == found.model)).astype(float)
    inverse = np.linalg.inv(whole)
    covariance = np.linalg.inv(design.T @ inverse @ design)
    return covariance @ (design.T @ inverse @ value), covariance


@pytest.mark.parametrize("seed", range(3))
def test_levels_are_those_of_generalized_least_squares_on_all_answers(seed: int) -> None:
    answers = drawn(seed)
    found = levels(*answers)
    mean, covariance = least_squares(found, answers)

    assert found.likeness > 0.1
    np.testing.assert_allclose(mean, found.mean, rtol=1e-9)
    np.testing.assert_allclose(covariance, found.covariance, atol=1e-12)


def test_models_that_answered_the_same_items_have_their_plain_means() -> None:
    rng = np.random.default_rng(1)
    value = rng.normal(size=(30, 1)) + rng.normal(size=(30, 4))
    item, model = np.indices(value.shape)
    found = levels(np.zeros(120, dtype=np.int64), model.ravel(), item.ravel(), value.ravel())
    shared = found.likeness * found.spread[0] / 30

    np.testing.assert_allclose(value.mean(axis=0), found.mean)
    np.testing.assert_allclose(np.full(6, shared), found.covariance[np.triu_indices(4, 1)])


def test_what_others_found_hard_counts_as_bad_luck() -> None:
    """One model answered two hundred items, another thirty of them."""
    ours, plain = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        hard = rng.normal(size=200)
        some = rng.permutation(200)[:30]
        value = np.concatenate([hard, hard[some]]) + 0.5 * rng.normal(size=230)
        item, model = np.concatenate([np.arange(200), some]), np.repeat([0, 1], (200, 30))
        found = levels(np.zeros(230, dtype=np.int64), model, item, value)
        ours.append(found.mean[1] - hard.mean())
        plain.append(value[200:].mean() - hard.mean())

    assert np.std(ours) < 0.75 * np.std(plain)


def test_the_spread_of_a_task_leans_on_the_others() -> None:
    task = np.repeat([0, 1], (20, 4))
    value = np.concatenate([np.tile([0.0, 2.0], 10), np.ones(4)])
    found = levels(task, np.zeros(24, dtype=np.int64), np.arange(24), value)
    overall = 20 / (19 + 3)

    assert BORROWED * overall / (3 + BORROWED) == pytest.approx(found.spread[1])
    assert 0.0 == found.likeness


def test_answers_that_are_all_the_same_have_no_errors() -> None:
    codes = np.arange(6)
    found = levels(codes // 3, codes % 3, np.zeros(6, dtype=np.int64), np.ones(6))

    assert 0.0 == found.likeness
    np.testing.assert_array_equal(np.ones(6), found.mean)
    np.testing.assert_array_equal(np.zeros((6, 6)), found.covariance)


def test_few_pairs_are_doubted() -> None:
    value = np.array([1.0, 1.0, -1.0, -1.0])
    found = levels(
        np.zeros(4, dtype=np.int64), np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), value
    )

    # two pairs, each with a product of 1 in units of a variance of 2
    assert pytest.approx(2 / 2 / (2 + DOUBT)) == found.likeness


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.array([]), "need a task"),
        (np.ones(3), "need a task"),
        (np.array([np.nan, 1.0]), "finite"),
    ],
)
def test_answers_that_cannot_be_used_are_refused(value: np.ndarray, words: str) -> None:
    codes = np.arange(min(2, value.size))
    with pytest.raises(ValueError, match=words):
        levels(codes, codes, codes, value)
