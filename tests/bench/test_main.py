"""The runner of the benches."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bench.__main__ import benches, keep, main, run, table

LINE = {"bench": "x", "value": 3, "unit": "s", "bar": 4, "at": "<=", "ok": True, "vs": {"y": 2.0}}


def script(*lines: str, status: int = 0) -> tuple[str, ...]:
    """A command that prints lines."""
    return sys.executable, "-c", f"print({chr(10).join(lines)!r}); raise SystemExit({status})"


def test_every_script_with_a_name_is_a_bench_and_no_other_file() -> None:
    found = benches()

    assert {"aa", "client", "decode", "ingest-garbage", "verdicts"} <= set(found)
    assert not {"bench.__init__", "bench.__main__", "bench.line"} & set(found.values())


def test_the_last_line_is_the_result_and_the_others_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = run("x", script("warming up", json.dumps(LINE)))

    assert LINE == line
    assert "warming up\n" == capsys.readouterr().out


def test_a_bench_that_ends_badly_is_not_ok_whatever_its_line_says() -> None:
    line = run("x", script(json.dumps(LINE), status=1))

    assert line is not None
    assert line["ok"] is False


@pytest.mark.parametrize("last", ["done", '{"bench": "y", "value": 1, "unit": "s"}', "[1]", ""])
def test_a_bench_without_its_line_has_no_result(
    last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("x", script(last)) is None
    assert "x: it ended with 0 and without its line.\n" == capsys.readouterr().err


def test_results_of_other_benches_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    keep(file, {"x": LINE, "z": LINE})
    keep(file, {"x": {**LINE, "value": 5}})

    assert {"x": 5, "z": 3} == {
        name: line["value"] for name, line in json.loads(file.read_text())["benches"].items()
    }


def test_the_table_says_what_was_missed_and_what_failed() -> None:
    out = StringIO()
    found = {"x": LINE, "z": {**LINE, "bench": "z", "value": 5_000, "ok": False}}
    Console(file=out, width=120).print(table(("x", "w", "z"), found))
    rows = [line.split() for line in out.getvalue().splitlines()[1:]]

    assert [
        ["x", "3", "s", "<=", "4", "2", "×", "y", "ok"],
        ["w", "no", "line", "FAILED"],
        ["z", "5,000", "s", "<=", "4", "2", "×", "y", "MISSED"],
    ] == rows


def test_a_further_figure_has_a_row_of_its_own() -> None:
    out = StringIO()
    more = {"what": "idle", "value": 9, "unit": "MB", "bar": 8, "at": "<=", "ok": False}
    Console(file=out, width=120).print(table(("x",), {"x": {**LINE, "also": [more]}}))
    rows = [line.split() for line in out.getvalue().splitlines()[1:]]

    assert ["ok", "MISSED"] == [row[-1] for row in rows]
    assert ["idle", "9", "MB", "<=", "8", "MISSED"] == rows[1]


def test_a_line_that_says_which_bar_was_missed_is_kept_as_it_is() -> None:
    missed = {**LINE, "also": [{"what": "idle", "ok": False}]}

    assert missed == run("x", script(json.dumps(missed), status=1))


def test_an_unknown_name_is_refused_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert 2 == main(["nothing"])
    assert "There is no bench 'nothing'; there are aa, " in capsys.readouterr().err
