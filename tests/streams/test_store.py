"""A store that cannot begin ends its worker as one that fails later does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from streams.app import DEFECT

SCRIPT = """
import asyncio, json, sys
from streams import app
from streams.log import set_up
from streams.settings import Settings
from streams.store import Store

class Agents:
    async def wait_until_agents_started(self): pass

class Nothing:
    agents = Agents()
    async def start(self): pass
    async def stop(self): pass

sys.modules["streams.follow"] = None  # what it needs is not there
app.assemble = lambda *_: (Nothing(), [])
set_up("info")
settings = Settings(state_dir=sys.argv[1])
tell = lambda status, why: print(json.dumps([status, why]))
sys.exit(asyncio.run(app.work(settings, "w-1", [], Store(settings), tell)))
"""


def test_a_store_that_cannot_begin_ends_the_worker_with_its_status_and_a_sentence(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    told = json.loads(done.stdout or "null")
    logged = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    stopping = [each for each in logged if each["event"] == "stopping"]

    assert DEFECT == done.returncode, done.stderr
    assert [DEFECT, "import of streams.follow halted; None in sys.modules"] == told
    assert [("store", told[1], "critical")] == [
        (each["stage"], each["why"], each["level"]) for each in stopping
    ]
    assert [] == list((tmp_path / "workers").iterdir())
