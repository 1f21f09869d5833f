"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A make within `make test` would say where it goes.
ALONE = {
    name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
}
LONGEST = 400  # lines
# Written in two parts, since this file is looked at, too.
ELSEWHERE = (
    *("/wo" + "rk/", "/t" + "mp/", "/ro" + "ot/", "/ho" + "me/"),
    *(
        "pypi" + ".org",
        "pythonhosted" + ".org",
        "registry.npm" + "js",
        "repo.ma" + "ven",
        "repo1.ma" + "ven",
    ),
)
LATER = re.compile(r"\b(TO" + "DO|FIX" + "ME|X" + r"XX)\b")
THEIRS = {"simulator/AZURE-TRACE-LICENSE.md"}  # a licence, word for word


def committed() -> list[Path]:
    """Every file of the repository; of the folder, where git does not know it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is no git repository, so that nobody knows which files belong to it")
    found = (ROOT / name for name in sorted(listed.stdout.split("\0")) if name)
    return [file for file in found if file.is_file()]


def named(file: Path) -> str:
    """The file's name within the tree."""
    return file.relative_to(ROOT).as_posix()


FILES = committed()
MODULES = [file for file in FILES if file.suffix == ".py"]
PROGRAM = [file for file in MODULES if "tests" not in file.relative_to(ROOT).parts]


def texts() -> list[tuple[str, str]]:
    """Name and text of every file that is text and ours."""
    found = []
    for file in FILES:
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if named(file) not in THEIRS:
            found.append((named(file), text))
    return found


def lines(file: Path) -> int:
    """How many lines *file* has."""
    return file.read_bytes().count(b"\n")


def test_no_module_is_longer_than_one_can_read() -> None:
    assert [] == [named(file) for file in MODULES if lines(file) > LONGEST]


@pytest.mark.parametrize("file", PROGRAM, ids=named)
def test_what_a_module_offers_is_sorted(file: Path) -> None:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = ast.literal_eval(node.value)

            assert sorted(names, key=rank) == list(names)


def rank(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, each by name: as ruff and isort sort."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def test_every_package_says_what_it_is() -> None:
    silent = [
        named(file)
        for file in PROGRAM
        if file.name == "__init__.py" and not ast.get_docstring(ast.parse(file.read_text()))
    ]

    assert [] == silent


def test_tests_have_no_packages() -> None:
    assert [] == [
        named(file) for file in MODULES if file not in PROGRAM and file.name == "__init__.py"
    ]


def test_nothing_is_left_for_later() -> None:
    assert [] == [(name, found[0]) for name, text in texts() if (found := LATER.search(text))]


def test_no_file_names_a_place_on_somebodys_machine_or_a_registry() -> None:
    assert [] == [(name, place) for name, text in texts() for place in ELSEWHERE if place in text]


def test_the_locked_dependencies_have_hashes_and_name_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pinned = re.findall(r"^[\w.\[\]-]+==\S+", lock, re.MULTILINE)
    options = re.findall(r"^\s*(--(?!hash)\S+|-[a-z]\b)", lock, re.MULTILINE)

    assert len(pinned) == len(re.findall(r"^\S.*\\\n\s+--hash=sha256:", lock, re.MULTILINE)) > 50
    assert [] == options
    assert "://" not in lock


def test_imports_point_inward_and_processors_are_pure() -> None:
    command = [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout
    assert "2 kept, 0 broken" in done.stdout


def test_another_python_is_refused_in_one_sentence(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "clients" / "python").mkdir(parents=True)
    shutil.copy(ROOT / "clients/python/pyproject.toml", tmp_path / "clients" / "python")
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for python in (old, tmp_path / "nowhere"):
        done = subprocess.run(
            ["make", "demo", f"PYTHON={python}"],
            cwd=tmp_path,
            env=ALONE,
            capture_output=True,
            text=True,
            check=False,
        )
        first, *more = done.stderr.splitlines()

        assert first.startswith("Python 3.11 is needed")
        assert ("", 1) == (done.stdout, len(more))
        assert not (tmp_path / ".venv").exists()


def test_make_help_tells_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*%?):", makefile, re.MULTILINE))
    done = subprocess.run(
        ["make", "help"], cwd=ROOT, env=ALONE, capture_output=True, text=True, check=True
    )

    assert targets == {line.split()[0] for line in done.stdout.splitlines()}


def test_whatever_one_part_of_the_program_reads_is_packaged() -> None:
    import tomllib

    read = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = read["package-data"]["*"]
    packages = tuple(each.removesuffix("*") + "/" for each in read["packages"]["find"]["include"])
    # Of the tree, not of the program.
    aside = ("bin/", "simulator/AZURE-TRACE-LICENSE.md", "bench/results.json")
    missing = [
        named(file)
        for file in FILES
        if named(file).startswith(packages)
        and file.suffix != ".py"
        and not any(file.match(pattern) for pattern in patterns)
        and not any(part in named(file) for part in aside)
    ]

    assert [] == missing
