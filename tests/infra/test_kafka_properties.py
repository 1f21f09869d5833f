from pathlib import Path

from infra.kafka.properties import MESSAGE_MAX_BYTES, render, settings


def test_the_broker_listens_on_loopback_only() -> None:
    values = settings(Path("/data"), port=1, controller_port=2)

    assert "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2" == values["listeners"]
    assert values["listeners"] == values["advertised.listeners"]


def test_everything_is_replicated_once() -> None:
    values = settings(Path("/data"), port=1, controller_port=2)
    replicated = {v for k, v in values.items() if k.endswith(("replication.factor", "min.isr"))}

    assert {"1"} == replicated


def test_a_message_of_one_megabyte_and_its_overhead_fits() -> None:
    values = settings(Path("/data"), port=1, controller_port=2)

    assert int(values["message.max.bytes"]) == MESSAGE_MAX_BYTES > 1_100_000


def test_a_backslash_in_a_path_survives_the_properties_format() -> None:
    assert "log.dirs=C:\\\\data\n" == render({"log.dirs": "C:\\data"})
