"""Fetches the jars of the broker and its tools once, and finds Java."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from infra.errors import InstallFailed, MissingTool

HERE = Path(__file__).parent
POM = HERE / "pom.xml"
LOCKED = HERE / "jars.sha256"
LIBS = HERE / "libs"
OLDEST_JAVA = 17

NO_JAVA = (
    "Kafka needs Java 17 or newer and {found}: install one (Debian, Ubuntu: `apt install "
    "openjdk-17-jre-headless`; macOS: `brew install openjdk@17`), or set LLMOPT_BOOTSTRAP_SERVERS "
    "to a Kafka of yours."
)
NO_MAVEN = (
    "Maven is needed once, to fetch Kafka, and `mvn` was not found: install it (Debian, Ubuntu: "
    "`apt install maven`; macOS: `brew install maven`), or set LLMOPT_BOOTSTRAP_SERVERS to a Kafka "
    "of yours."
)


def java() -> Path:
    """The `java` program: of JAVA_HOME when that is set, else of the PATH.

    Raises:
        MissingTool: There is none, or it is older than Java 17.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if found is None:
        where = f"JAVA_HOME ({home}) has none" if home else "`java` was not found"
        raise MissingTool(NO_JAVA.format(found=where))
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)
    version = major(said.stderr + said.stdout)
    if version is None or version < OLDEST_JAVA:
        named = (
            f"`{found}` is Java {version}"
            if version
            else f"`{found} -version` does not say its version"
        )
        raise MissingTool(NO_JAVA.format(found=named))
    return Path(found)


def major(said: str) -> int | None:
    """The major version in what `java -version` prints.

    >>> major('openjdk version "17.0.15" 2025-04-15'), major('java version "1.8.0_402"')
    (17, 8)
    """
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found[1]) if found else None


def maven() -> Path:
    """The `mvn` program.

    Raises:
        MissingTool: It is not on the PATH.
    """
    found = shutil.which("mvn")
    if found is None:
        raise MissingTool(NO_MAVEN)
    return Path(found)


def install(say: Callable[[str], None], libs: Path = LIBS) -> Path:
    """Have the jars that `jars.sha256` lists, fetching them with Maven when they are not there yet.

    Any number of processes may ask at once: one fetches, the others wait. The folder appears whole
    or not at all.

    Args:
        say: Told what takes time.
        libs: Where the jars are kept.

    Returns:
        The folder of the jars.

    Raises:
        MissingTool: Java or, with no jars yet, Maven is missing.
        InstallFailed: Maven failed, or fetched other bytes than those expected.
    """
    java()
    jars = libs / "jars"
    if installed(jars):
        return jars
    mvn = maven()
    libs.mkdir(parents=True, exist_ok=True)
    with POM.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if installed(jars):
            return jars
        say("Fetching Kafka 4.3.1 with Maven (53 jars, 45 MB, once) …")
        with tempfile.TemporaryDirectory(dir=libs, prefix="partial-") as partial:
            fetched = Path(partial) / "jars"
            fetch(mvn, fetched)
            verify(fetched)
            shutil.copy(LOCKED, fetched)
            shutil.rmtree(jars, ignore_errors=True)
            fetched.rename(jars)
    return jars


def installed(jars: Path) -> bool:
    """Whether *jars* was filled from the present list."""
    mark = jars / LOCKED.name
    return mark.exists() and mark.read_bytes() == LOCKED.read_bytes()


def fetch(mvn: Path, into: Path, pom: Path = POM) -> None:
    """Have Maven copy the jars of a pom, and what they need, into a folder.

    Raises:
        InstallFailed: Maven failed.
    """
    done = subprocess.run(
        [
            *(str(mvn), "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"),
            *("-DincludeScope=runtime", f"-DoutputDirectory={into}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InstallFailed(
            f"Maven could not fetch Kafka; it said:\n{(done.stdout + done.stderr)[-2000:]}"
        )


def verify(jars: Path) -> None:
    """Compare a folder's jars with the list.

    Raises:
        InstallFailed: One is missing, unknown or different.
    """
    listed = (line.split() for line in LOCKED.read_text().splitlines())
    expected = {name: digest for digest, name in listed}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars.glob("*.jar")}
    wrong = sorted(
        name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    )
    if wrong:
        raise InstallFailed(
            f"Maven fetched other jars than {LOCKED.name} lists: {', '.join(wrong)}."
        )


if __name__ == "__main__":
    import sys

    try:
        install(lambda line: print(line, file=sys.stderr))  # noqa: T201 - a command's output
    except (MissingTool, InstallFailed) as error:
        sys.exit(str(error))
