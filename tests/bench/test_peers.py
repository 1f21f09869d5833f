"""What is said about peers: what they cost, which windows they lose, and why one is missing."""

from __future__ import annotations

import json
import math
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bench import drain_peers
from bench.drain_peers import OURS, RATIOS, WARM_PEER, Results
from bench.line import measured
from bench.peers import install
from bench.peers.check import Sums, Verdict, Window, judge
from bench.peers.faust_peer import took
from bench.peers.run import Cost, Peer, Ran, Sample, cost, progress
from bench.peers.summary import Progress, add, empty, key_of, shown
from infra.errors import InstallFailed, MissingTool

MINUTE = 60_000
ONE, TWO = Window(1, (2.0,), {3: 1}), Window(2, (4.0,), {3: 2})
EVENT = {
    "timestamp": 5 * MINUTE + 1,
    "service": "s",
    "endpoint": "e",
    "model": "m",
    "provider": "p",
    "config_version": None,
    "cohort": "stable",
    "latency_ms": 100.0,
    "time_to_first_token_ms": None,
    "tokens_input": 10,
    "tokens_output": 5,
    "tokens_total": None,
    "cached_tokens": 4,
    "cost_usd": 0.25,
}


def test_windows_are_exact_lost_or_wrong() -> None:
    expected = {("a", 0): ONE, ("b", 0): TWO, ("c", 0): ONE, ("d", 0): TWO}
    found = {("a", 0): ONE, ("b", 0): ONE, ("e", 0): ONE}

    assert Verdict(exact=1, lost=2, wrong=2) == judge(expected, found)


@pytest.mark.parametrize(
    "other",
    [
        Window(2, (2.0,), {3: 1}),
        Window(1, (2.000001,), {3: 1}),
        Window(1, (2.0,), {4: 1}),
        Window(1, (2.0,), {3: 1, 4: 1}),
        Window(1, (math.nan,), {3: 1}),
    ],
)
def test_another_count_sum_or_bucket_is_another_window(other: Window) -> None:
    assert not ONE.same(other)


def test_a_sum_may_differ_by_the_order_of_adding() -> None:
    assert Window(3, (0.1 + 0.2 + 0.3,), {}).same(Window(3, (0.3 + 0.2 + 0.1,), {}))


def test_a_peer_and_the_recomputation_sum_up_the_same() -> None:
    events = [
        EVENT,
        {**EVENT, "latency_ms": 250.0, "tokens_total": 99, "time_to_first_token_ms": 3.5},
        {**EVENT, "cost_usd": None, "cached_tokens": None},
        {**EVENT, "model": "n"},
        {**EVENT, "timestamp": 6 * MINUTE},
        {**EVENT, "timestamp": 9 * MINUTE},  # still open
    ]
    sums, peers = Sums(), {}
    for part in (events[:2], events[2:]):
        sums.add(pa.RecordBatch.from_pylist(part, schema=layout()), 9 * MINUTE)
    for event in events[:-1]:
        place = (key_of(event), event["timestamp"] // MINUTE * MINUTE)
        peers[place] = add(peers.get(place, empty()), event)
    rows = [shown(key, start, summary) for (key, start), summary in peers.items()]
    found = {
        (row["key"], row["start"]): Window(
            row["count"], tuple(row["sums"]), {int(k): n for k, n in row["buckets"].items()}
        )
        for row in rows
    }

    assert [("s|e|m|p||stable", 5 * MINUTE), 3] == [key := min(found), found[key].count]
    assert Verdict(exact=3, lost=0, wrong=0) == judge(sums.windows(), found)


def layout() -> pa.Schema:
    """The columns that are summed up."""
    kinds = {int: pa.int64(), float: pa.float64()}
    wide = {"time_to_first_token_ms": pa.float64(), "tokens_total": pa.int64()}
    return pa.schema(
        [(name, wide.get(name) or kinds.get(type(v), pa.string())) for name, v in EVENT.items()]
    )


def test_a_peer_tells_the_last_event_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    some = Progress(1_001)
    for _ in range(1_001):
        some.took()
    told = [progress(line) for line in capsys.readouterr().out.splitlines()]

    assert [5, 1_001] == [told[0], told[-1]]
    assert 200 <= len(told) <= 202


def test_progress_is_the_last_whole_line_among_others() -> None:
    assert [50, 0] == [
        progress("warm\nprogress 12\nprogress 50\nprogre"),
        progress("progress 1x\n"),
    ]


SOME = (Sample(0, 10, 0, 0), Sample(1, 110, 0.5, 0.1), Sample(3, 510, 0.7, 0.2))


def test_what_a_peer_costs_is_between_its_first_and_last_progress() -> None:
    whole, warm = cost(SOME), cost(SOME, after=1)

    assert whole == Cost(500 / 3, pytest.approx(1_400.0), pytest.approx(400.0))
    assert warm is not None
    assert (200.0, pytest.approx(500.0)) == (warm.rate, warm.client)
    assert [None, None, None] == [cost(()), cost(SOME[:1]), cost(SOME, after=3)]


def test_the_worst_turn_is_shown_and_a_failed_one_makes_a_peer_missing() -> None:
    results, peer = Results(), Peer("Faust table", "faust", 10)
    results.add(peer, Ran(SOME, Verdict(9, 0, 0)))
    results.add(peer, Ran(SOME, Verdict(2, 7, 0)))
    results.add(
        Peer("Faust agent", "faust", 10, windowed=False), Ran(SOME, None, "it took 5 of 10")
    )

    assert {"Faust table": {"exact": 2, "lost": 7, "wrong": 0}} == results.windows
    assert {"Faust agent": "it took 5 of 10"} == results.missing


def test_ratios_are_of_medians_and_a_missing_peer_meets_no_bar() -> None:
    results = Results({OURS: [Cost(r, 2, 1) for r in (400.0, 100.0, 800.0)]})
    results.costs[WARM_PEER] = [Cost(200.0, 4, 1)]
    results.costs["Faust table"] = [Cost(10.0, 4, 1)]

    assert {WARM_PEER: 2.0, "Faust table": 40.0} == results.vs()
    assert [True, True, False, False] == [each.line()["ok"] for each in results.bars()]
    assert 1 + len(RATIOS) == len(results.bars())


def test_where_the_peer_of_a_claim_is_missing_the_line_says_so_and_the_bench_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = {OURS: [Cost(100.0, 2, 1)], "Faust table": [Cost(1.0, 9, 1)]}

    assert 1 == ended(Results(ours, missing={WARM_PEER: "no javac"}), monkeypatch)
    told = capsys.readouterr()
    line = json.loads(told.out)
    said = "not measured: Kafka Streams did not run to its end here"

    assert (None, False, {WARM_PEER: "no javac"}) == (line["value"], line["ok"], line["missing"])
    assert [said, said, "100 × Faust table"] == [
        measured(each, "{:g}".format) for each in (line, *line["also"][:2])
    ]
    assert "Kafka Streams is missing: no javac" in told.err


def test_a_missing_peer_fails_the_bench_though_no_bar_is_about_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = {name: [Cost(1.0, 9, 1)] for name in (WARM_PEER, *RATIOS)}
    costs[OURS] = [Cost(100.0, 2, 1)]

    assert 0 == ended(Results(costs), monkeypatch)
    assert 1 == ended(Results(costs, missing={"Arroyo raw": "it took 5 of 10"}), monkeypatch)
    assert "Arroyo raw is missing: it took 5 of 10" in capsys.readouterr().err


def ended(results: Results, monkeypatch: pytest.MonkeyPatch) -> int:
    """How the bench ends when that is what came out."""
    monkeypatch.setattr(drain_peers, "servers", lambda **_: nullcontext())
    monkeypatch.setattr(drain_peers, "contest", lambda *_: results)
    monkeypatch.setattr(sys, "argv", ["drain-peers"])
    with pytest.raises(SystemExit) as end:
        drain_peers.main()
    return int(end.value.code or 0)


def test_faust_without_a_table_hands_over_what_an_event_is_two_minutes_younger_than() -> None:
    kept: dict[str, dict[int, Any]] = {}
    times = [5, 5, 6, 7, 9]
    over = [took(kept, {**EVENT, "timestamp": at * MINUTE}) for at in times]

    assert [[], [], [], [(5, 2)], [(6, 1), (7, 1)]] == [
        [(start // MINUTE, summary["count"]) for _, start, summary in each] for each in over
    ]
    assert [9 * MINUTE] == list(kept[key_of(EVENT)])


def test_what_is_installed_is_kept_until_it_is_to_be_made_of_something_else(tmp_path: Path) -> None:
    wanted, said, made = tmp_path / "wanted.txt", list[str](), list[Path]()

    def ask() -> Path:
        return install._once("x", (wanted,), make, said.append, tmp_path / "cache")

    def make(folder: Path, made_of: object) -> None:
        assert (wanted,) == made_of
        folder.mkdir()
        made.append(folder)

    for text in ("a==1", "a==1", "a==2"):
        wanted.write_text(text)
        assert tmp_path / "cache" / "x" == ask()

    assert 2 == len(made)
    assert ["Installing the peer x (once) …"] * 2 == said


def test_what_was_not_finished_is_made_again(tmp_path: Path) -> None:
    def broken(folder: Path, _: object) -> None:
        folder.mkdir()
        raise InstallFailed("no network")

    for _ in range(2):
        with pytest.raises(InstallFailed, match="no network"):
            install._once("x", (), broken, print, tmp_path)


def test_a_peer_that_pip_cannot_install_says_what_pip_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "REQUIREMENTS", tmp_path)
    (tmp_path / "x.txt").write_text("./there-is-no-such-folder\n")

    with pytest.raises(
        InstallFailed, match=r"The peer x could not be installed: pip said:\n.*such"
    ):
        install.python_of("x", print, tmp_path / "cache")


def test_without_a_compiler_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingTool) as missing:
        install._compiled(tmp_path / "x", (install.POM, install.JAVA_PEER))

    said = str(missing.value)

    assert said.startswith("Kafka Streams is compiled when it is first used, and `javac` was not")
    assert "\n" not in said


@pytest.mark.parametrize("file", sorted(install.REQUIREMENTS.glob("*.txt")), ids=lambda f: f.stem)
def test_every_peer_is_pinned(file: Path) -> None:
    lines = file.read_text().splitlines()

    assert lines
    assert [] == [line for line in lines if line.count("==") != 1]
