from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from streams.cli.cells import Unusable
from streams.cli.csvfile import Table, read


def of(folder: Path, text: str | bytes, *wanted: str) -> Table:
    file = folder / "some.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(file, wanted)


def test_columns_are_found_by_the_header_and_times_by_their_name(tmp_path: Path) -> None:
    found = of(tmp_path, "p95,timestamp,model\n10,2024-01-01,a\n20,2024-01-02,b\n")

    assert ("timestamp", True, ["p95"], ()) == (
        found.time,
        found.dated,
        list(found.columns),
        found.repairs,
    )
    assert [10.0, 20.0] == found.columns["p95"].tolist()
    assert 86_400.0 == found.times[1] - found.times[0]
    assert "2024-01-02 00:00:00" == found.when(float(found.times[1]))


@pytest.mark.parametrize(
    "first",
    ["2023-11-14T22:13:20Z", "2023-11-15 00:13:20+02:00", "1700000000", "1700000000000", "1.7e18"],
)
def test_times_are_the_same_however_they_are_written(tmp_path: Path, first: str) -> None:
    found = of(tmp_path, f"when,value,time\nx,1,{first}\n")

    assert [1.7e9] == found.times.tolist()
    assert found.dated


def test_times_are_found_by_their_kind_where_no_name_tells(tmp_path: Path) -> None:
    found = of(tmp_path, "value;seen\n1;2024-01\n2;2024-02\n")

    assert "seen" == found.time


def test_rows_are_counted_where_there_are_no_times(tmp_path: Path) -> None:
    found = of(tmp_path, "value\n5\n6\n")

    assert [1.0, 2.0] == found.times.tolist()
    assert "row 2" == found.when(2.0)
    assert ("no column has times: rows are counted",) == found.repairs


def test_rows_without_a_header_get_one(tmp_path: Path) -> None:
    found = of(tmp_path, "0,3.5\n600,4.5\n1200,4\n")

    assert ("column 1", ["column 2"]) == (found.time, list(found.columns))
    assert [3.5, 4.5, 4.0] == found.columns["column 2"].tolist()
    assert "the first line is no header" in found.repairs[0]


def test_headers_of_several_lines_are_joined(tmp_path: Path) -> None:
    found = of(tmp_path, "service,a,a\nstatistic,p50,p95\nunix_timestamp,,\n1700000000,1,2\n")

    assert ("unix_timestamp", ["a p50", "a p95"]) == (found.time, list(found.columns))


@pytest.mark.parametrize("nothing", ["", "NaN", "n/a", "null", "-", "inf"])
def test_what_is_missing_is_left_out_and_said(tmp_path: Path, nothing: str) -> None:
    found = of(tmp_path, f"t,value\n1,5\n2,{nothing}\n3,7\n")
    series = found.series("value")

    assert ([1.0, 3.0], [5.0, 7.0]) == (series.times.tolist(), series.values.tolist())
    assert math.isnan(found.columns["value"][1])
    assert ("1 of 3 values of 'value' are missing: left out",) == found.repairs


def test_rows_are_sorted_and_those_of_one_time_become_their_mean(tmp_path: Path) -> None:
    found = of(tmp_path, "t,value\n3,9\n1,4\n2,1\n2,3\n2,\n")

    assert ([1.0, 2.0, 3.0], [4.0, 2.0, 9.0]) == (
        found.times.tolist(),
        found.columns["value"].tolist(),
    )
    assert "times go back in 1 place: rows are sorted" == found.repairs[0]
    assert found.repairs[1].startswith("2 rows have the time of another")


def test_gaps_are_said(tmp_path: Path) -> None:
    minutes = [m for m in range(30) if m not in (10, 11, 20)]
    rows = "".join(f"2024-01-01 00:{m:02}:00,{m}\n" for m in minutes)
    found = of(tmp_path, f"time,value\n{rows}")

    assert ("2 gaps in the times, the longest 3 steps: left as they are",) == found.repairs


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("time,value\n", "has a header and no row of numbers"),
        ("time,value\n1,2\n3\n", "line 3 has 1 cells and the first has 2"),
        ("time,value\n1,2\n2,12ms\n3,4\n", "'12ms' in column 'value' is no number"),
        ("time,value\nx,2\n2,3\n3,4\n", "'x' in column 'time' is no time"),
        ("date,value\n04/05/2021,2\n", "can be read two ways; write it as 2021-05-04"),
        ("time,name\n1,a\n2,b\n", "has no column of numbers beside its times"),
        ('{"a": 1}', "looks like JSON"),
        (b"time,v\xe4lue\n1,2\n", "not text in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_a_sentence(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    with pytest.raises(Unusable, match=r"some\.csv") as refused:
        of(tmp_path, text)

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("p99", "is not there; numbers are in 'p95'"),
        ("model", "is text"),
        ("t", "holds the times"),
    ],
)
def test_a_column_that_cannot_be_taken_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(Unusable, match=said):
        of(tmp_path, "t,p95,model\n1,2,a\n2,3,b\n", name)


def test_text_in_a_column_that_nobody_wants_does_no_harm(tmp_path: Path) -> None:
    found = of(tmp_path, "t,good,bad\n1,2,1\n2,3,oops\n3,4,3\n", "good")

    assert ["good"] == list(found.columns)


def test_one_point_is_too_few(tmp_path: Path) -> None:
    found = of(tmp_path, "t,value\n1,5\n")

    with pytest.raises(Unusable, match="'value' has 1 point; this needs at least 2"):
        found.series("value")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="cannot be read"):
        read(tmp_path / "none.csv")


def test_a_number_is_read_as_people_write_it(tmp_path: Path) -> None:
    found = of(tmp_path, 't,value\n1," 1,234.5"\n2,1e3\n')

    assert np.array([1234.5, 1000.0]).tolist() == found.columns["value"].tolist()
