# `llmopt` is a fixture whose type lies in a conftest
from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration


def test_a_worker_says_at_its_end_in_one_json_line_how_it_ended(llmopt: Any) -> None:
    words = ("worker", "--json", "--stages", "enrich", "--name", "w.1")
    with subprocess.Popen(
        [sys.executable, "-m", "streams", *words],
        env=os.environ | llmopt.settings.environment() | {"LLMOPT_DATABASE_URL": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert any('"event": "started"' in line for line in process.stderr)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=40)

    assert 0 == process.returncode
    assert 1 == out.count("\n")
    assert {
        "worker": "w.1",
        "stages": ["enrich"],
        "status": 0,
        "reason": "told to stop",
    } == json.loads(out)


def test_a_worker_that_is_told_to_stop_while_it_starts_ends_well_with_a_line_in_its_log(
    llmopt: Any,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "streams", "worker", "--stages", "enrich", "--name", "early"],
        env=os.environ | llmopt.settings.environment() | {"LLMOPT_DATABASE_URL": ""},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 20
        while not listens(process.pid):
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)

    assert 0 == process.returncode
    assert "told to stop while starting" in said
    assert '"event": "started"' not in said
    assert "Traceback" not in said


def listens(pid: int) -> bool:
    """Whether the process has a handler for SIGTERM."""
    told = Path(f"/proc/{pid}/status").read_text()
    caught = next(line.split()[1] for line in told.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) & 1 << (signal.SIGTERM - 1))


def test_a_metrics_port_that_is_taken_is_named(llmopt: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "streams", "worker", "--metrics-port", port],
            env=os.environ | llmopt.settings.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert (1, "") == (done.returncode, done.stdout)
    assert f"--metrics-port {port} cannot be used" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
