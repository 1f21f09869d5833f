from pathlib import Path

import pytest

from infra.errors import InstallFailed, MissingTool
from infra.kafka import install
from infra.kafka.install import LOCKED


def program(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing but what the test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for needed in ("sh", "mkdir", "touch", "dirname"):
        (folder / needed).symlink_to(next(Path(p) / needed for p in ("/usr/bin", "/bin")))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


@pytest.mark.usefixtures("path")
def test_without_java_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(MissingTool) as missing:
        install.install(print, tmp_path)

    said = str(missing.value)

    assert said.startswith("Kafka needs Java 17 or newer and `java` was not found: install one")
    assert "LLMOPT_BOOTSTRAP_SERVERS" in said
    assert "\n" not in said


def test_an_old_java_is_named(path: Path, tmp_path: Path) -> None:
    program(path, "java", """echo 'openjdk version "11.0.2" 2019-01-15' >&2""")

    with pytest.raises(MissingTool, match="java` is Java 11: install one"):
        install.install(print, tmp_path)


def test_a_java_home_without_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    with pytest.raises(MissingTool, match=r"JAVA_HOME .* has none"):
        install.java()


def test_without_maven_and_jars_one_sentence_says_what_to_install(
    path: Path, tmp_path: Path
) -> None:
    program(path, "java", """echo 'openjdk version "21.0.1"' >&2""")

    with pytest.raises(MissingTool, match="`mvn` was not found: install it"):
        install.install(print, tmp_path)


def test_with_the_jars_there_maven_is_not_needed(path: Path, tmp_path: Path) -> None:
    program(path, "java", """echo 'openjdk version "17.0.15"' >&2""")
    jars = tmp_path / "jars"
    jars.mkdir()
    (jars / LOCKED.name).write_bytes(LOCKED.read_bytes())

    assert jars == install.install(print, tmp_path)


def test_other_jars_than_the_listed_ones_are_refused_and_leave_nothing(
    path: Path, tmp_path: Path
) -> None:
    program(path, "java", """echo 'openjdk version "17.0.15"' >&2""")
    into = "for a; do case $a in -DoutputDirectory=*) d=${a#*=};; esac; done"
    program(path, "mvn", f"{into}; mkdir -p $d; touch $d/evil-1.jar")

    with pytest.raises(InstallFailed, match=r"evil-1\.jar"):
        install.install(lambda _: None, tmp_path / "libs")

    assert [] == list((tmp_path / "libs").iterdir())


def test_what_maven_says_when_it_fails_is_passed_on(path: Path, tmp_path: Path) -> None:
    program(path, "java", """echo 'openjdk version "17.0.15"' >&2""")
    program(path, "mvn", "echo no network >&2; exit 1")

    with pytest.raises(InstallFailed, match="no network"):
        install.install(lambda _: None, tmp_path)


def test_every_jar_of_the_list_has_a_sha256() -> None:
    lines = [line.split() for line in LOCKED.read_text().splitlines()]

    assert all(64 == len(digest) and name.endswith(".jar") for digest, name in lines)
    assert "kafka_2.13-4.3.1.jar" in {name for _, name in lines}
