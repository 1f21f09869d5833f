"""`python -m demo` as it runs, on evidence that was recorded instead of gathered."""

from __future__ import annotations

import json
import os
import runpy
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from demo.before import check
from demo.promises import Evidence, judge
from demo.run import DemoFailed

SERVICE = {"requests": 3, "default_cost_usd": 2.0, "cost_usd": 1.0}
RAN = SimpleNamespace(summary={"services": {"search": SERVICE}})
Demo = Callable[..., int]


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Demo:
    """Runs the program with these words; what it would gather is *evidence*, or it is raised."""

    def run(
        evidence: Evidence | Exception, *words: str, before: Callable[..., None] = lambda _: None
    ) -> int:
        def gather(*_: Any) -> Evidence:
            if isinstance(evidence, Exception):
                raise evidence
            return evidence

        started = SimpleNamespace(env=dict)
        crew = SimpleNamespace(start=lambda *_: 1)
        environment = SimpleNamespace(start=lambda *_, **__: nullcontext(started))
        monkeypatch.setattr("demo.before.check", before)
        monkeypatch.setattr("infra.environment.Environment", environment)
        monkeypatch.setattr("demo.run.run", lambda *_, **__: RAN)
        monkeypatch.setattr("demo.run.workers", lambda *_: nullcontext(crew))
        monkeypatch.setattr("demo.evidence.gather", gather)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        monkeypatch.setattr("sys.argv", ["demo", *words])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("demo", run_name="__main__")
        return int(ended.value.code or 0)

    return run


def test_the_demo_ends_with_0_when_every_promise_is_kept(
    demo: Demo, good: Evidence, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == demo(good)
    told = capsys.readouterr().out
    assert "All 10 promises kept" in told
    assert "The rollback as a picture: back.png" in told
    assert "llmopt deployments show r-3 --plot back.png" in told


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_the_demo_ends_with_1_when_any_promise_is_broken(
    demo: Demo,
    against: tuple[str, Evidence],
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    name, evidence = against

    assert 1 == demo(evidence, *words)
    out = capsys.readouterr().out
    if words:
        kept = {each["name"]: each["kept"] for each in json.loads(out)["promises"]}
        assert {each.name: each.kept for each in judge(evidence)} == kept
        assert not kept[name]
    else:
        assert f"│ BROKEN │ {name} " in out
        assert f"{sum(not each.kept for each in judge(evidence))} of 10 promises BROKEN." in out


def test_the_demo_ends_with_1_and_the_reason_when_it_comes_to_no_end(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == demo(DemoFailed("worker-1 ended with status 70"))
    assert "The demo failed: worker-1 ended with status 70" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("env", "status", "told"),
    [
        ({"LLMOPT_BOOTSTRAP_SERVERS": "nonsense"}, 2, "is not a list of brokers: write host:port"),
        ({"LLMOPT_NOPE": "1"}, 2, "LLMOPT_NOPE is not a setting"),
        ({"LLMOPT_DATABASE_URL": "postgresql://x@127.0.0.1:1/y"}, 1, "Postgres does not answer"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_sentence_before_anything_starts(
    demo: Demo,
    env: dict[str, str],
    status: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [*filter(lambda each: each.startswith("LLMOPT_"), os.environ)]:
        monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    assert status == demo(DemoFailed("it went on"), before=check)
    said = capsys.readouterr().err
    assert said.startswith("The demo failed: ")
    assert told in said


def test_a_kafka_that_does_not_answer_is_a_sentence(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    away = KafkaException(KafkaError(KafkaError._TRANSPORT))

    assert 1 == demo(away)
    assert "The demo failed: No Kafka broker answers at " in capsys.readouterr().err


def test_a_defect_keeps_its_traceback(demo: Demo) -> None:
    with pytest.raises(KeyError):
        demo(KeyError("a"))


def test_the_demo_leaves_no_folder_behind(demo: Demo, good: Evidence, tmp_path: Path) -> None:
    demo(good)

    assert [] == list(tmp_path.iterdir())
