"""What make does, and in which order, with programs that only say how they were called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FETCH, TABLES = "-m infra.kafka.install", "docs/generate.py"
PYTEST = "-m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder"
OURS = ("LLMOPT_", "MAKE", "MFLAGS")
Make = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Runs a target in a tree that is set up; its status, and the calls of Python."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "clients" / "python").mkdir(parents=True)
    shutil.copy(ROOT / "clients/python/pyproject.toml", tmp_path / "clients" / "python")
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "ruff", "mypy", "lint-imports"):
        program = programs / name
        program.write_text(
            "#!/bin/sh\n"
            f'[ {name} = python ] && echo "$*" >> {tmp_path}/calls\n'
            'case "$*" in "$FAILS") exit 3;; esac\nexit 0\n'
        )
        program.chmod(0o755)
    (tmp_path / ".venv" / ".installed").touch()

    def run(target: str, **env: str) -> tuple[int, list[str]]:
        alone = {name: v for name, v in os.environ.items() if not name.startswith(OURS)}
        done = subprocess.run(
            ["make", target],
            cwd=tmp_path,
            env={**alone, "FAILS": "nothing", **env},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, (tmp_path / "calls").read_text().splitlines()

    return run


def test_kafka_is_there_before_the_tests_start(make: Make) -> None:
    assert (0, [FETCH, PYTEST]) == make("test")


def test_without_kafka_there_are_no_tests(make: Make) -> None:
    assert (2, [FETCH]) == make("test", FAILS=FETCH)


def test_for_a_kafka_of_ones_own_nothing_is_fetched(make: Make) -> None:
    assert (0, [PYTEST]) == make("test", LLMOPT_BOOTSTRAP_SERVERS="localhost:9092")


@pytest.mark.parametrize(
    ("target", "call"), [("bench", "-m bench "), ("bench-ingest", "-m bench ingest")]
)
@pytest.mark.parametrize("kept", [True, False])
def test_a_bench_is_told_in_the_readme_also_when_it_misses_its_bar(
    make: Make, target: str, call: str, *, kept: bool
) -> None:
    status, calls = make(target, FAILS="nothing" if kept else call.strip())

    assert (0 if kept else 2, [call.strip(), TABLES]) == (status, [c.strip() for c in calls])


def test_without_java_one_sentence_is_all_that_is_said(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.kafka.install"],
        cwd=ROOT,
        env={**os.environ, "JAVA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 1 == done.returncode
    assert done.stderr.startswith("Kafka needs Java 17 or newer and JAVA_HOME")
    assert 1 == done.stderr.count("\n")
