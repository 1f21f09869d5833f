"""A stop is on its way before anything is imported that it does not need."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"numpy", "scipy", "pyarrow", "faust", "matplotlib", "rich", "fastavro", "psycopg"}
OURS = {"schemas.topics", "schemas.codec", "schemas.catalog", "streams.reading"}
SCRIPT = """
import sys
from streams import cli, sending

def send(*_):
    print(*sys.modules)
    raise SystemExit(0)

sending.send = send
cli.main({words!r})
"""


@pytest.mark.parametrize("word", ["stop", "pause", "resume"])
def test_a_hold_is_sent_before_what_it_does_not_need_is_imported(word: str) -> None:
    command = [sys.executable, "-c", SCRIPT.format(words=[word, "--reason", "a test"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    imported = set(done.stdout.split())

    assert 0 == done.returncode, done.stderr
    assert {"streams.cli.control", "confluent_kafka"} <= imported
    assert set() == imported & (HEAVY | OURS)
