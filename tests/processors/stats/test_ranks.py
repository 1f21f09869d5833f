"""Ranks are those of scipy."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from processors.stats.ranks import ranks


@pytest.mark.parametrize("distinct", [1, 3, 1_000])
@pytest.mark.parametrize("n", [0, 1, 2, 500])
def test_ranks_are_those_of_scipy_ties_included(n: int, distinct: int) -> None:
    values = np.random.default_rng(n).integers(0, distinct, n) / 7

    assert stats.rankdata(values).tolist() == ranks(values).tolist()


def test_a_worker_does_not_bring_scipy_stats() -> None:
    """It would take 45 MB more, idle."""
    code = "import sys, streams.stages; sys.exit('scipy.stats' in sys.modules)"

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
