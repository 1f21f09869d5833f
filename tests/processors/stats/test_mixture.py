import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.stats.mixture import log_mean, tempered

LOGS = st.lists(st.floats(-200, 200), min_size=1, max_size=20)


@given(logs=LOGS)
def test_the_log_mean_lies_between_the_largest_part_and_the_largest(logs: list[float]) -> None:
    assert max(logs) - math.log(len(logs)) - 1e-9 <= log_mean(logs) <= max(logs) + 1e-9


def test_weights_weigh() -> None:
    found = log_mean([math.log(2.0), math.log(10.0)], [3.0, 1.0])

    assert pytest.approx(math.log(4.0)) == found


@given(logs=LOGS, inflation=st.floats(1.0, 20.0), level=st.floats(0.0, 10.0))
def test_discounting_adds_no_alarm(logs: list[float], inflation: float, level: float) -> None:
    assert tempered(logs, inflation) < level + 1e-9 or log_mean(logs) >= level - 1e-9


def test_evidence_cannot_be_inflated() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        tempered([0.0], 0.5)
