"""Installs the peers once: an environment for each in Python, jars and a compiled class for Java.

What they are made of lies beside this file; where that changes, they are installed anew.

python -m bench.peers.install
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bench.line import ROOT
from infra.errors import InfraError, InstallFailed, MissingTool
from infra.kafka.install import fetch, java, maven

HERE = Path(__file__).parent
CACHE = ROOT / ".local" / "peers"
REQUIREMENTS = HERE / "requirements"
POM = HERE / "pom.xml"
JAVA_PEER = HERE / "WindowsPeer.java"
DONE = "installed"

NO_COMPILER = (
    "Kafka Streams is compiled when it is first used, and `javac` was not found: install a JDK "
    "(Debian, Ubuntu: `apt install openjdk-17-jdk-headless`; macOS: `brew install openjdk@17`)."
)

Say = Callable[[str], None]


def python_of(name: str, say: Say, cache: Path = CACHE) -> Path:
    """The Python of a peer's own environment.

    Args:
        name: The peer, as its file of requirements is called.
        say: Told what takes time.
        cache: Where the peers are kept.

    Raises:
        InstallFailed: pip could not install what is pinned.
    """
    wanted = REQUIREMENTS / f"{name}.txt"
    return _once(name, (wanted,), _environment, say, cache) / "bin" / "python"


def classpath(say: Say, cache: Path = CACHE) -> str:
    """The classpath of the Kafka Streams peer.

    Raises:
        MissingTool: Java, its compiler or Maven is missing.
        InstallFailed: Maven could not fetch its jars, or it cannot be compiled.
    """
    java()
    folder = _once("kafka-streams", (POM, JAVA_PEER), _compiled, say, cache)
    return f"{folder / 'classes'}:{folder / 'jars'}/*"


def _once(
    name: str,
    made_of: Sequence[Path],
    make: Callable[[Path, Sequence[Path]], None],
    say: Say,
    cache: Path,
) -> Path:
    """The folder of what is *made_of* these files, made when it is not there yet.

    Any number of processes may ask at once: one makes it, the others wait. It is whole when it has
    its mark.
    """
    mark = hashlib.sha256(b"".join(file.read_bytes() for file in made_of)).hexdigest()
    folder = cache / name
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / DONE
        if not done.exists() or done.read_text() != mark:
            say(f"Installing the peer {name} (once) …")
            shutil.rmtree(folder, ignore_errors=True)
            make(folder, made_of)
            done.write_text(mark)
    return folder


def _environment(folder: Path, made_of: Sequence[Path]) -> None:
    wanted = made_of[0]
    _run([sys.executable, "-m", "venv", str(folder)], wanted.stem)
    pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--no-deps", "-r", str(wanted)], wanted.stem)


def _compiled(folder: Path, made_of: Sequence[Path]) -> None:
    pom, source = made_of
    compiler = shutil.which("javac")
    if compiler is None:
        raise MissingTool(NO_COMPILER)
    mvn = maven()
    folder.mkdir()
    with tempfile.TemporaryDirectory(dir=folder) as begun:
        fetch(mvn, Path(begun) / "jars", pom)
        (Path(begun) / "jars").rename(folder / "jars")
    command = [compiler, "-d", str(folder / "classes"), "-cp", f"{folder / 'jars'}/*", str(source)]
    _run(command, "kafka-streams")


def _run(command: Sequence[str], name: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr)[-2000:]
        raise InstallFailed(
            f"The peer {name} could not be installed: {Path(command[0]).name} said:\n{said}"
        )


def main() -> int:
    """Install all peers; the exit status."""
    failed = 0
    for name in sorted(file.stem for file in REQUIREMENTS.glob("*.txt")):
        failed += not _installed(partial(python_of, name))
    return int(failed + (not _installed(classpath)) > 0)


def _installed(install: Callable[[Say], object]) -> bool:
    try:
        install(lambda line: print(line, file=sys.stderr))
    except InfraError as error:
        print(error, file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
