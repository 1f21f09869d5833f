"""Scenario files and the record of a run."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from simulator.__main__ import main
from simulator.deliver import deliver
from simulator.requests import events, requests, scores
from simulator.scenario import InvalidScenario, cards, fleet_of, read
from simulator.truth import Record
from simulator.truth import read as read_truth

ENDPOINT = {"service": "s", "endpoint": "e", "rate": 60, "default": "openai/gpt-4"}


def test_the_demo_has_what_its_story_needs() -> None:
    fleet = read(Path("demo"), seed=3, start=60_000)
    dear = [one for one in fleet.endpoints if one.default == "openai/gpt-4"]
    minutes = [one for m in range(30) for one in requests(fleet, m)]
    answers = [one for one in minutes if one.demand.endpoint in dear]

    assert (3, 60_000) == (fleet.seed, fleet.start)
    assert 5 == len({one.service for one in fleet.endpoints})
    assert 7 == len(fleet.endpoints)
    assert fleet.endpoints[0].rate == 2 * read(Path("demo"), rate=0.5).endpoints[0].rate
    for one in answers:  # what the rule optimization_opportunity asks for
        assert one.cost_nanousd.mean() > 0.05e9
        judged = [score.overall for score in scores(one)]
        assert sum(judged) / len(judged) > 90
    assert {"duplicate", "late", "garbage", "errors"} == {one.kind for one in fleet.faults}


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (None, "list of endpoints"),
        ({"endpoints": []}, "list of endpoints"),
        ({"endpoints": [ENDPOINT], "fault": []}, "'fault'"),
        ({"endpoints": [ENDPOINT, ENDPOINT]}, "s/e is there twice"),
        ({"endpoints": [{**ENDPOINT, "rates": 5}]}, "'rates'"),
        ({"endpoints": [{"service": "s"}]}, "needs 'default'"),
        (
            {
                "endpoints": [ENDPOINT],
                "faults": [{"kind": "slow", "strength": 2, "service": "other"}],
            },
            "concerns no endpoint",
        ),
    ],
)
def test_a_scenario_that_makes_no_sense_is_refused(raw: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fleet_of(raw)


@pytest.mark.parametrize("text", [None, "endpoints: [", "endpoints: 5", "- a"])
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "x.yaml"
    if text is not None:
        file.write_text(text)

    with pytest.raises(InvalidScenario, match=r"x\.yaml cannot be run"):
        read(file)

    result = CliRunner().invoke(
        main, ["--bootstrap-servers", "127.0.0.1:1", "--scenario", str(file)]
    )

    assert 1 == result.exit_code
    assert "cannot be run" in result.output


def test_a_catalog_believes_the_profiles_and_knows_no_truths() -> None:
    believed = {f"{card.provider}/{card.model}": card for card in cards()}

    assert 94.7 == believed["openai/gpt-4"].quality
    assert 89.3 == believed["openai/gpt-3.5-turbo"].quality


def test_the_record_of_a_run_gives_back_all_that_was_sent(tmp_path: Path) -> None:
    fleet = read(Path("demo"), seed=2, start=1_700_000_040_000)
    record = Record(fleet)
    expected: list[Any] = []
    judged: list[Any] = []
    for minute in (0, 1, 2):
        for answers in requests(fleet, minute):
            for cut in (slice(0, 7), slice(7, None)):
                asked = answers.demand.part(cut)
                part = type(answers)(
                    asked,
                    answers.served,
                    *(
                        getattr(answers, name)[cut]
                        for name in answers.__dataclass_fields__
                        if name not in ("demand", "served")
                    ),
                )
                delivery = deliver(asked)
                record.add(part, delivery)
                expected += zip(events(part), delivery.sends.tolist(), strict=True)
                judged += scores(part)
    record.garbage.append("garbage-2-0")
    record.write(tmp_path / "truth.npz")
    truth = read_truth(tmp_path / "truth.npz", read(Path("demo")))
    order = {event.request_id: n for n, (event, _) in enumerate(expected)}

    assert expected == sorted(truth.events(), key=lambda row: order[str(row[0].request_id)])
    assert Counter(s.request_id for s in judged) == Counter(s.request_id for s in truth.scores())
    assert ("garbage-2-0",) == truth.garbage
    assert 2 in truth.columns["sends"]


def test_a_record_of_another_scenario_is_refused(tmp_path: Path) -> None:
    record = Record(fleet_of({"endpoints": [ENDPOINT]}))
    record.write(tmp_path / "truth.npz")

    with pytest.raises(ValueError, match="another scenario"):
        read_truth(tmp_path / "truth.npz", read(Path("demo")))
