"""The numbers in profiles.py are the ones that the data gives."""

from pathlib import Path

import pytest

from simulator import fit
from simulator.profiles import SHAPES, TAIL_INDEX, TAIL_SHARE

DATA = Path(__file__).parents[3] / "shared" / "data"


def test_without_the_data_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == fit.main(tmp_path)
    assert "Skipped" in capsys.readouterr().out


@pytest.mark.skipif(not DATA.exists(), reason="the measurements are not here")
def test_the_profiles_are_what_the_measurements_give(capsys: pytest.CaptureFixture[str]) -> None:
    fit.main(DATA)
    printed = capsys.readouterr().out

    for name, shape in SHAPES.items():
        assert f'"{name}": {shape},' in printed
    assert f"tail share {TAIL_SHARE:.4f}, index {TAIL_INDEX:.2f}" in printed
