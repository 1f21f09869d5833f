import socket
from pathlib import Path

from infra.ports import FIRST, LAST, LOOPBACK, claim, free


def test_a_folder_keeps_its_ports(tmp_path: Path) -> None:
    first = claim(tmp_path, "broker")

    assert first == claim(tmp_path, "broker")
    assert first != claim(tmp_path, "controller")


def test_a_port_is_outside_the_range_of_outgoing_connections(tmp_path: Path) -> None:
    assert FIRST <= claim(tmp_path, "broker") < LAST


def test_a_port_that_another_program_took_meanwhile_is_replaced(tmp_path: Path) -> None:
    former = claim(tmp_path, "broker")
    with socket.socket() as other:
        other.bind((LOOPBACK, former))
        other.listen()

        assert not free(former)
        assert former != claim(tmp_path, "broker")


def test_a_wanted_port_is_taken_as_it_is(tmp_path: Path) -> None:
    assert 9092 == claim(tmp_path, "broker", 9092)
    assert 9092 == claim(tmp_path, "broker", 9092)
