import contextlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import predict
from bench.predict import DRAWN, Answers, draws, errors, read

TRUTH = np.linspace(0.3, 0.9, 6)  # share of right answers, by model


def answers(seed: int, prompts: int = 300) -> Answers:
    """Models whose answers to one prompt are alike."""
    rng = np.random.default_rng(seed)
    hard = rng.random((prompts, 1))
    quality = (0.5 * hard + 0.5 * rng.random((prompts, 6)) < TRUTH).astype(float)
    return Answers(quality, np.full((prompts, 6), 1e-3))


def write(file: Path, tasks: list[Answers]) -> Path:
    """As RouterBench has them."""
    rows = ["sample_id,task,model,quality,cost_usd,prompt_chars,response_chars"]
    for number, task in enumerate(tasks):
        for (item, model), value in np.ndenumerate(task.quality):
            rows.append(f"p{item:03},t{number},m{model},{value},{task.cost[item, model]},1,1")
    file.write_text("\n".join(rows) + "\n")
    return file


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    tasks = [answers(1), answers(2)]
    found = read(write(tmp_path / "a.csv", [*tasks, answers(3, prompts=50)]))

    assert 2 == len(found)
    for task, again in zip(tasks, found, strict=True):
        np.testing.assert_array_equal(task.quality, again.quality)


@pytest.mark.parametrize("together", [False, True])
def test_a_round_sees_thirty_answers_of_each_model(*, together: bool) -> None:
    (seen,) = draws([answers(1)], 7, together=together)

    assert [DRAWN] * 6 == seen.sum(axis=0).tolist()
    assert together == bool((seen.any(axis=1) == seen.all(axis=1)).all())


def test_the_error_of_the_means_is_that_of_a_drawing_without_replacement() -> None:
    tasks = [answers(1)]
    found = [errors(tasks, seed, together=False)[0].means for seed in range(150)]
    spread = tasks[0].quality.std(axis=0, ddof=1) * np.sqrt(1 / DRAWN + 1 / (300 - DRAWN))

    assert pytest.approx(np.sqrt(2 / np.pi) * spread.mean(), rel=0.06) == np.mean(found)


def test_a_switch_is_the_difference_of_two_levels() -> None:
    level, switch = errors([answers(1)], 3, together=False)

    assert (6, 15) == (level.ours.size, switch.ours.size)
    assert switch.ours.max() <= 2 * level.ours.max() + 1e-12


def test_the_bench_ends_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "a.csv", [answers(1), answers(2)])
    monkeypatch.setattr(sys, "argv", ["predict", "--rounds", "2", "--data", str(file)])
    with contextlib.suppress(SystemExit):  # two rounds may miss a bar
        predict.main()
    line = json.loads(capsys.readouterr().out)

    assert ("predict", 2, 2, 5) == (line["bench"], line["tasks"], line["rounds"], len(line["also"]))


@pytest.mark.parametrize("there", [False, True])
def test_without_answers_nothing_is_measured(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    there: bool,
) -> None:
    file = tmp_path / "a.csv"
    if there:
        write(file, [answers(1, prompts=50)])
    monkeypatch.setattr(sys, "argv", ["predict", "--data", str(file)])
    with pytest.raises(SystemExit):
        predict.main()
    line = json.loads(capsys.readouterr().out)

    assert line["value"] is None
    assert "a.csv" in line["why"]
