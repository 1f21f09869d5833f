"""What processes cost."""

from __future__ import annotations

import subprocess
import sys
import time

from bench.watch import cpu_seconds, tree_cpu_seconds

BURN = "import time\nwhile time.process_time() < 0.5: pass\nprint(flush=True)\ntime.sleep(60)"


def test_the_time_of_a_child_is_its_parents_as_well() -> None:
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        alone, together = cpu_seconds(process.pid), tree_cpu_seconds(process.pid)
        child = subprocess.run(
            ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False
        )
        subprocess.run(["kill", *child.stdout.split()], check=True)

    assert 0.45 <= together - alone


def test_a_process_that_has_ended_costs_nothing_more() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        time.sleep(0.01)

    assert 0.0 == tree_cpu_seconds(process.pid)
