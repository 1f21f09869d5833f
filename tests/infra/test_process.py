import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.errors import StartFailed
from infra.process import Command, Process, Released, birth, end


def command(folder: Path, script: str, grace: float = 3.0) -> Command:
    return Command(["/bin/sh", "-c", script], folder, folder / "log", {"COLOR": "red"}, grace=grace)


def gone(pid: int, within: float = 5.0) -> bool:
    born = birth(pid)
    return born is None or Released(pid, born).wait(within)


def read(file: Path) -> str:
    deadline = time.monotonic() + 5.0
    while not (file.exists() and file.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return file.read_text().strip()


def test_output_goes_to_the_log_and_the_exit_code_is_known(tmp_path: Path) -> None:
    process = Process(command(tmp_path, "echo $COLOR $PWD; exit 3"))

    assert process.wait(5.0)
    assert (3, f"red {tmp_path}\n") == (process.exit_code, (tmp_path / "log").read_text())


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="/no/such/program"):
        Process(Command(["/no/such/program"], tmp_path, tmp_path / "log", {}))


def test_a_killed_child_is_known_to_be_dead(tmp_path: Path) -> None:
    process = Process(command(tmp_path, "sleep 60"))

    assert process.alive()

    os.kill(process.pid, signal.SIGKILL)

    assert process.wait(5.0)
    assert not process.alive()
    assert -signal.SIGKILL == process.exit_code


def test_a_child_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    process = Process(command(tmp_path, "trap '' TERM; echo on; while :; do sleep 0.05; done"))
    read(tmp_path / "log")
    end(process, signal.SIGTERM, 0.2)

    assert -signal.SIGKILL == process.exit_code


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to the keeper")
def test_what_a_dead_child_leaves_is_killed_too(tmp_path: Path) -> None:
    process = Process(command(tmp_path, "setsid sleep 60 & echo $!; wait"))
    orphan = int(read(tmp_path / "log"))
    end(process, signal.SIGKILL, 5.0)

    assert birth(orphan) is None


PARENT = """
import sys, time
from pathlib import Path
from infra.process import Command, Process
folder = Path(sys.argv[1])
process = Process(Command(["sleep", "60"], folder, folder / "log", {}))
if "release" in sys.argv:
    process.release()
print(process.pid, flush=True)
time.sleep(60)
"""


def child_of_a_killed_parent(folder: Path, *arguments: str) -> int:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), *arguments], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    return pid


def test_a_child_dies_with_its_killed_parent(tmp_path: Path) -> None:
    assert gone(child_of_a_killed_parent(tmp_path))


def test_a_released_child_outlives_its_parent_and_can_be_ended_by_pid(tmp_path: Path) -> None:
    pid = child_of_a_killed_parent(tmp_path, "release")
    released = Released.of(pid)

    assert not released.wait(0.3)

    end(released, signal.SIGTERM, 5.0)

    assert not released.alive()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties the child to its keeper")
def test_a_child_dies_with_its_killed_keeper(tmp_path: Path) -> None:
    process = Process(command(tmp_path, "echo $PPID; exec sleep 60"))
    os.kill(int(read(tmp_path / "log")), signal.SIGKILL)

    assert process.wait(5.0)
    assert gone(process.pid)


def test_a_pid_that_another_process_has_now_is_left_alone(tmp_path: Path) -> None:
    process = Process(command(tmp_path, "sleep 60"))
    end(Released(process.pid, "at another time"), signal.SIGKILL, 0.1)

    assert process.alive()

    end(process, signal.SIGTERM, 5.0)
