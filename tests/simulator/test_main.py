"""`python -m simulator`, where it cannot do what it is asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from simulator import __main__ as program

FLEET = ("--minutes", "1", "--bootstrap-servers")


@pytest.mark.parametrize("servers", ["nonsense", "127.0.0.1:1", "127.0.0.1:99999"])
def test_without_a_broker_there_is_a_sentence_and_no_fleet(
    servers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "ANSWERED_WITHIN", 0.1)
    done = CliRunner().invoke(program.main, [*FLEET, servers])

    assert (1, "") == (done.exit_code, done.stdout)
    assert done.stderr.startswith(f"Error: No Kafka broker answers at {servers}: give --bootstrap")
    assert 1 == done.stderr.count("\n")


@pytest.mark.parametrize(("delivered", "status"), [(0, 1), (1, 0)])
def test_a_fleet_none_of_whose_reports_arrived_has_failed(
    delivered: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def live(*_: Any, **__: Any) -> SimpleNamespace:
        clients = {"reported": 2, "delivered": delivered, "failed": 2 - delivered}
        return SimpleNamespace(
            run=lambda: None, close=lambda: None, summary=lambda: {"clients": clients}
        )

    monkeypatch.setattr("signal.signal", lambda *_: None)  # those of the tests stay
    monkeypatch.setattr(program, "await_kafka", lambda _: None)
    monkeypatch.setattr(program, "Live", live)
    done = CliRunner().invoke(program.main, [*FLEET, "127.0.0.1:9092"])

    assert status == done.exit_code
    assert "'failed'" in done.stdout
    assert ("None of the reports arrived at 127.0.0.1:9092." in done.stderr) == bool(status)
