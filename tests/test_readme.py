from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from demo.promises import Ending, Evidence, Held, Picture, Replayed, Sent, judge
from demo.stored import SHAPES
from infra.kafka.install import LIBS, install
from streams.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted(
    file.relative_to(ROOT).as_posix()
    for file in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("clients/**/*.md"))
)
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CLEAN_UP = "exec >/dev/null 2>&1; kill $(jobs -p); wait; make down"
HELD = "Still held: no conclusive evidence at 1 % for 1200 s after its dwell. Promote or abort it."
ENDING: dict[str, Any] = {
    "stable_model": "c/c",
    "candidate_model": "c/d",
    "reason": "Why.",
    "minutes": 1.0,
    "requests": 1,
    "failed": (),
}
KEPT = Evidence(
    sent=Sent(metrics=2, duplicates=0, quality=0, garbage=0, cost_usd=1.0, default_usd=2.0),
    counts={"read": 2, "aggregated": 2},
    dropped=0,
    endings=(
        Ending(**ENDING, id="r-1", scope="a/b", phase="promoted", share=10_000),
        Ending(**ENDING, id="r-2", scope="a/c", phase="promoted", share=10_000),
        Ending(
            **ENDING | {"failed": ("quality",)}, id="r-3", scope="a/d", phase="rolled_back", share=0
        ),
        Ending(**ENDING | {"reason": HELD}, id="r-4", scope="a/e", phase="held", share=100),
    ),
    worse={"a/d": ("c/d",)},
    thin=("a/e",),
    picture=Picture(id="r-3", file=".local/demo/rollback.png", width=1_200, looks=1, crossed=True),
    killed_pid=1,
    commits_after_kill={1: 1, 2: 1},
    windows_compared=1,
    windows_wrong=(),
    revisions={"a/b": (1,)},
    stored={shape.table: Held(1) for shape in SHAPES},
    replayed=Replayed(
        {"collect": 1}, None, "0.03 instead of 0.02 dollars in a rule", "decide[1], commit 1"
    ),
)
KEPT_OUT = (".*", "libs", "tests", "__pycache__", "*.egg-info", "build")


def blocks(language: str) -> list[str]:
    """The README's blocks of code in *language*."""
    return [code for found, code in FENCED.findall(README) if found == language]


def spoken(document: str) -> list[str]:
    """Every piece of code in *document*: the lines of blocks, and what stands in backticks."""
    text = (ROOT / document).read_text()
    lines = [line for _, code in FENCED.findall(text) for line in code.splitlines()]
    return lines + re.findall(r"`([^`\n]+)`", FENCED.sub("", text))


def environ(tree: Path) -> dict[str, str]:
    """A stranger's variables; what runs in *tree* is of *tree*."""
    ours = ("LLMOPT_", "MAKE", "MFLAGS", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"PYTHONPATH": str(tree)}


class Shell:
    """A stranger's terminal in a tree of their own."""

    def __init__(self, tree: Path) -> None:
        self.process = subprocess.Popen(
            ["bash"],
            cwd=tree,
            env=environ(tree),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # Also when the tests are killed: the shell reads its end of file then.
        self.type(f"trap '{CLEAN_UP}' EXIT")

    def type(self, line: str) -> str:
        """What *line* prints; it must succeed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\nprintf '\\n@@%s\\n' $?\n")
        self.process.stdin.flush()
        said = []
        for heard in self.process.stdout:
            if heard.startswith("@@"):
                assert "@@0\n" == heard, f"{line}\n{''.join(said)}"
                return "".join(said)
            said.append(heard)
        raise AssertionError(f"the shell ended at: {line}\n{''.join(said)}")

    def until(self, line: str, wanted: Callable[[str], bool], within: float) -> str:
        """Type *line* again and again, as an impatient person would, until it says it."""
        deadline = time.monotonic() + within
        while True:
            said = self.type(line)
            if wanted(said):
                return said
            assert time.monotonic() < deadline, f"{line}\n{said}"
            time.sleep(0.5)


def requests(windows: str) -> list[int]:
    """How many requests each of the *windows* has."""
    return [each["window"]["requests"] for each in json.loads(windows)]


@pytest.fixture
def tree(
    own_servers: None,  # noqa: ARG001 - nothing is started where a Kafka is named
) -> Iterator[Path]:
    """A copy of this tree, set up, whose `make up` is nobody else's."""
    install(lambda _: None)
    folder = Path(tempfile.mkdtemp(prefix="llmopt-readme-"))
    folder.chmod(0o755)  # as root, PostgreSQL runs as another user
    copy = folder / "tree"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*KEPT_OUT))
    (copy / "infra" / "kafka" / "libs").symlink_to(LIBS)
    (copy / ".venv").mkdir()
    for each in Path(sys.prefix).iterdir():
        (copy / ".venv" / each.name).symlink_to(each)
    (copy / ".venv" / ".installed").unlink(missing_ok=True)
    (copy / ".venv" / ".installed").touch()
    try:
        yield copy
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def shell(tree: Path) -> Iterator[Shell]:
    """A terminal; what was started in it ends with it."""
    shell = Shell(tree)
    try:
        yield shell
    finally:
        shell.process.communicate(timeout=60)


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_the_readme_does_what_it_says(shell: Shell, tree: Path) -> None:
    kcat = shutil.which("kcat") is not None
    said: dict[str, str] = {}
    for line in "".join(blocks("sh")).splitlines():
        if line.startswith("kill "):
            (tree / "three_lines.py").write_text("".join(blocks("python")))
            shell.type("python three_lines.py && rm three_lines.py")
            shell.until(
                "llmopt windows shop/answer --json",
                lambda text: (3 if kcat else 2) == sum(requests(text)),
                150,
            )
        if "kcat" in line and not kcat:
            continue
        if line.startswith("llmopt windows"):
            said[line] = shell.until(line, lambda s: "closed" in s, 60)
        elif line.startswith("llmopt dlq"):
            said[line] = shell.until(line, lambda s: "broken_json" in s, 60)
        else:
            said[line] = shell.type(line)

    def of(beginning: str) -> str:
        return next(text for line, text in said.items() if line.startswith(beginning))

    assert "Starting kafka, registry, postgres …" in of("make up")
    assert "Stop it with" in of("make up")
    assert "openai/gpt-4o-mini" in of("llmopt catalog apply")
    window = of("llmopt windows").splitlines()[1].split()
    assert ["shop/answer", "2" if kcat else "1", "0"] == window[2:5]
    assert "gpt-4o-mini" in of("llmopt config set")
    assert '"model":"gpt-4o-mini"' in of("kafka-console-consumer").replace(" ", "")
    assert "cheaper" in of("llmopt config get")
    assert "llmopt.metrics.v1" in of("kafka-consumer-groups --describe --group llmopt.collect")
    for stage in ("collect", "merge", "enrich", "detect", "analyze", "decide", "actuate"):
        assert f"llmopt.{stage}" in of("kafka-consumer-groups --describe --all-groups")
        assert stage in of("llmopt status")
    assert "Stopping" in of("make down")
    left = {each.name for each in tree.iterdir()} - {each.name for each in ROOT.iterdir()}
    assert {".local", "worker.log", "fleet.log"} >= left
    if not kcat:
        pytest.skip("kcat is not installed: the README's lines with it were left out")
    assert "shop/answer {" in of("kcat -C")


def test_the_two_commands_are_there_and_ci_calls_the_second() -> None:
    typed = [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]

    assert ["make demo", "make test"] == typed
    assert typed[1] == (ROOT / ".ci" / "run").read_text().splitlines()[-1]


def test_the_example_tells_every_promise_as_the_demo_does() -> None:
    example = next(block for block in blocks("text") if "What was promised" in block)
    told: dict[str, str] = {}
    for line in example.partition("What was promised")[2].splitlines():
        if line.startswith("│"):
            kept, name, found = (cell.strip() for cell in line.strip("│").split("│"))
            name = name if kept else list(told)[-1]
            told[name] = f"{told.get(name, '')} {found}"

    assert {each.name: shape(each.sentence) for each in judge(KEPT)} == {
        name: shape(sentence) for name, sentence in told.items()
    }
    assert len(told) == example.count("│ kept │")


def shape(sentence: str) -> list[str]:
    """The words of *sentence* without figures, scopes and models."""
    words = re.sub(r"\([^)]*\)", "", sentence).split()
    return [word.strip(";:,.") for word in words if not re.search(r"[\d/+=$]", word)]


def test_the_generated_tables_are_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_that_a_document_names_exists(document: str) -> None:
    wrong = []
    for code in spoken(document):
        for words in re.findall(r"(?:^|[ (])llmopt ((?:[^|;&)#]|\\\|)+)", code):
            wrong += [f"llmopt {words}: {what}" for what in problems(words.split())]

    assert [] == wrong


def problems(words: list[str]) -> Iterator[str]:
    """What is wrong with the words after `llmopt`."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            yield f"no command {words[0]}"
            return
        command, words = found, words[1:]
    known = {"--help", "--version"} | {
        option for each in command.params for option in (*each.opts, *each.secondary_opts)
    }
    yield from (f"no option {w}" for w in words if w.startswith("--") and w not in known)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_that_a_document_names_exists(document: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {
        target for code in spoken(document) for target in re.findall(r"\bmake ([a-z-]+)", code)
    }
    benches = {f"bench-{file.stem.replace('_', '-')}" for file in (ROOT / "bench").glob("*.py")}

    assert set() == named - targets - benches


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_of_a_document_leads_somewhere(document: str) -> None:
    file = ROOT / document
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", FENCED.sub("", file.read_text()))

    assert [] == [link for link in links if not (file.parent / link).exists()]
