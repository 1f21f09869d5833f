from __future__ import annotations

import math
import struct
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from streams.cli.deployments import _draw
from streams.cli.failure import Failure
from streams.cli.plot import BLUE, GREEN, MOST, ORANGE, RED, draw, write
from streams.cli.story import Story, rail

Stories = Mapping[str, Story]


def panel(story: Story, title: str) -> Axes:
    found = [axes for axes in draw(story).axes if axes.get_title(loc="left").startswith(title)]
    assert 1 == len(found)
    return found[0]


def line(axes: Axes, color: str) -> tuple[list[float], list[float]]:
    """The one line of that colour that is no mark."""
    (found,) = [
        each
        for each in axes.get_lines()
        if each.get_color() == color and each.get_marker() == "None"
    ]
    xs, ys = found.get_data()
    return np.asarray(xs, float).tolist(), np.asarray(ys, float).tolist()


def words(axes: Axes) -> list[str]:
    return [each.get_text() for each in axes.texts]


@pytest.mark.parametrize("name", ["promoted", "rolled back", "held", "paused", "pending", "manual"])
def test_a_picture_is_a_png_1200_pixels_wide_and_the_same_each_time(
    stories: Stories, name: str, tmp_path: Path
) -> None:
    write(stories[name], tmp_path / "one.png")
    write(stories[name], tmp_path / "two.png")
    data = (tmp_path / "one.png").read_bytes()

    assert b"\x89PNG\r\n\x1a\n" == data[:8]
    assert 1_200 == struct.unpack(">I", data[16:20])[0]
    assert (tmp_path / "two.png").read_bytes() == data


def test_shares_are_steps_that_end_in_the_last_share(stories: Stories) -> None:
    axes = panel(stories["promoted"], "share")

    assert ([0, 0, 5, 15, 15], [0, 5, 25, 100, 100]) == line(axes, BLUE)
    assert ["5 %", "25 %", "promoted"] == words(axes)


@pytest.mark.parametrize(
    ("name", "unit", "last"),
    [("held", "minutes", 40), ("slow", "hours", 30), ("very slow", "days", 49 / 24)],
)
def test_time_is_counted_in_a_unit_that_fits(
    stories: Stories, name: str, unit: str, last: float
) -> None:
    figure = draw(stories[name])
    xs, _ = line(panel(stories[name], "cost: evidence"), BLUE)

    assert f"{unit} since the candidate's first share" == figure.axes[-1].get_xlabel()
    assert last == pytest.approx(xs[-1])


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("promoted", ("o", GREEN)),
        ("rolled back", ("X", RED)),
        ("aborted", ("D", ORANGE)),  # by a person: nothing says that it was worse
        ("waited", ("D", ORANGE)),
        ("rejected", ("D", ORANGE)),
    ],
)
def test_how_a_rollout_ended_is_marked_with_its_verdict(
    stories: Stories, name: str, mark: tuple[str, str]
) -> None:
    figure = draw(stories[name])
    last = [each for each in figure.axes[0].get_lines() if each.get_marker() != "None"][-1]

    assert mark == (last.get_marker(), last.get_color())
    assert mark[1] == figure.axes[1].texts[0].get_color()


def test_an_e_value_is_drawn_against_its_limit_and_marked_where_it_ended(stories: Stories) -> None:
    story = stories["rolled back"]
    axes = panel(story, "quality: evidence")
    expected = [found.log_e for each in story.looks if (found := rail(each, "quality"))]
    (mark,) = [each for each in axes.get_lines() if each.get_marker() == "X"]

    assert (list(range(1, 9)), expected) == line(axes, BLUE)
    assert [math.log(80.0)] * 2 == pytest.approx(line(axes, RED)[1])
    assert (RED, [8.0], [expected[-1]]) == (mark.get_color(), *map(list, mark.get_data()))
    assert axes.get_ylim()[1] > math.log(80.0)
    assert "80 : 1" in words(axes)


def test_an_e_value_beyond_all_doubt_does_not_flatten_the_others(stories: Stories) -> None:
    axes = panel(stories["very slow"], "cost: evidence")
    _, values = line(axes, BLUE)

    assert [3.0, 6.0, 9.0, MOST, MOST] == values[:5]
    assert "> 1,000,000 : 1" in words(axes)
    assert ["≤ 1 : 100", "1 : 1", "100 : 1", "≥ 10,000 : 1"] == [
        axes.yaxis.get_major_formatter()(at, None) for at in axes.get_yticks()
    ]


def test_a_bound_of_the_harm_is_drawn_against_its_margin(stories: Stories) -> None:
    axes = panel(stories["promoted"], "quality: worse by")
    xs, bounds = line(axes, BLUE)

    assert list(range(1, 16)) == xs
    assert [True, True, False] == [math.isnan(each) for each in bounds[:3]]
    assert 0.02 == pytest.approx(bounds[-1])
    assert [0.1, 0.1] == line(axes, GREEN)[1]
    assert "85.5 against 95.0; margin 10.0 %" == axes.get_title(loc="right")


def test_what_is_not_known_is_said_with_what_there_was(stories: Stories) -> None:
    axes = panel(stories["held"], "cost: worse by")

    assert ["not known yet from 360 stable and 40 candidate values"] == words(axes)


def test_the_verdict_and_the_reason_stand_in_the_picture_in_words(stories: Stories) -> None:
    story = stories["rolled back"]
    told = " ".join(words(draw(story).axes[1]))

    assert story.in_words() in told
    assert r"It cost \$5 and \$6." in told  # no formula
    assert "by optimizer, step 2 of 4; compared 7,200 and 800 requests" in told


def test_copies_are_told_from_shares(stories: Stories) -> None:
    axes = panel(stories["shadow"], "share")

    assert ([0, 0, 2, 6, 6], [0, 5, 25, 0, 0]) == line(axes, BLUE)
    assert ["5 %, copies", "25 %, copies", "verified"] == words(axes)


def test_a_long_reason_is_cut_where_the_room_ends(stories: Stories) -> None:
    story = stories["rolled back"]
    long = replace(story, events=(*story.events[:-1], replace(story.last, reason="word " * 200)))

    assert any(each.endswith("word …") for each in words(draw(long).axes[1]))


def test_a_pause_is_marked_with_who_paused(stories: Stories) -> None:
    assert "paused by ada" in words(panel(stories["paused"], "share"))


def test_no_word_leaves_the_picture_or_its_column(stories: Stories) -> None:
    for name, story in stories.items():
        figure = draw(story)
        canvas = FigureCanvasAgg(figure)
        width, height = canvas.get_width_height()
        renderer = canvas.get_renderer()
        found = [axes.yaxis.get_tightbbox(renderer) for axes in figure.axes]
        edges = [box.x0 for box in found if box is not None]
        middle = min((edge for edge in edges if edge > width / 2), default=width)

        assert 0 <= min(edges), name
        for axes in figure.axes:
            on_the_left = axes.get_position().x0 < 0.5
            for text in axes.texts:
                box = text.get_window_extent(renderer)

                assert box.x0 >= 0 <= box.y0, (name, text)
                assert box.x1 <= (middle if on_the_left else width), (name, text)
                assert box.y1 <= height, (name, text)


def test_a_picture_that_cannot_be_written_is_a_sentence(stories: Stories) -> None:
    with pytest.raises(Failure, match=r"^/dev/full cannot be written: No space left on device\.$"):
        _draw(stories["promoted"], Path("/dev/full"))


def test_nothing_is_loaded_to_draw_with_until_a_picture_is_asked_for() -> None:
    code = "import sys, streams.cli.deployments as _; sys.exit('matplotlib' in sys.modules)"

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
