"""A status of a worker passes the chaos test only with what makes it legitimate."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from streams.app import DEFECT, NAMED_TWICE, OUT_OF_STEP, STUCK
from tests.integration.pipeline.exits import (
    AWAY,
    HUNG,
    UNCLOSED,
    Exit,
    explained,
    listens,
    unexplained,
)

OUTAGES = [(100.0, 110.0), (500.0, 505.0)]
NOBODY = f'{{"event": "[^App]: Starting..."}}\n{AWAY}127.0.0.1:1: start one.\n'
TRACE = 'Traceback (most recent call last):\n  File "x.py"\nKafkaConnectionError: nobody\n'


def one(status: int, log: str = "", *, told: bool = False, heard: bool = True) -> Exit:
    return Exit("worker-1", status, 130.0, log, told, heard)


@pytest.mark.parametrize(
    "how",
    [
        one(0, told=True),
        one(1, NOBODY),
        one(1, NOBODY, told=True),
        one(1, f'{NOBODY}{{"event": "{UNCLOSED}\\nproducer: <...>"}}\n'),
        one(STUCK, f'{{"why": "{HUNG} 60 s: []"}}\n'),
        one(-signal.SIGTERM, told=True, heard=False),
    ],
    ids=str,
)
def test_a_status_with_its_reason_is_one(how: Exit) -> None:
    assert "" != explained(how, OUTAGES)
    assert [] == unexplained([how], OUTAGES)


@pytest.mark.parametrize(
    "how",
    [
        one(0),
        one(1),
        one(1, TRACE),
        one(1, NOBODY + TRACE),
        Exit("worker-1", 1, 300.0, NOBODY, told=False, listened=True),
        one(2, told=True),
        one(STUCK),
        *(one(status, NOBODY, told=True) for status in (OUT_OF_STEP, DEFECT, NAMED_TWICE)),
        *(one(-sign, told=True) for sign in (signal.SIGSEGV, signal.SIGKILL, signal.SIGTERM)),
        one(-signal.SIGTERM, heard=False),
    ],
    ids=str,
)
def test_without_it_none_is(how: Exit) -> None:
    assert "" == explained(how, OUTAGES)
    assert 1 == len(unexplained([how], OUTAGES))


def test_whether_a_process_listens_is_known_before_it_is_asked_to_leave() -> None:
    script = (
        "import signal\nprint(flush=True)\ninput()\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\nprint(flush=True)\ninput()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        before = listens(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        after = listens(process.pid)
        process.stdin.write("\n")

    assert (False, True) == (before, after)
