from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError
from click.testing import CliRunner

from streams.cli import COMMANDS, main, show
from streams.cli.failure import Failure, explained

NOBODY = {  # a port where nothing listens
    "LLMOPT_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "LLMOPT_SCHEMA_REGISTRY_URL": "http://127.0.0.1:1",
    "LLMOPT_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
}


def every() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Each command with the words that call it."""

    def below(
        words: tuple[str, ...], command: click.Command
    ) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        yield words, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found is not None
                yield from below((*words, name), found)

    yield from below((), main)


ALL = list(every())


@pytest.mark.parametrize(("words", "command"), ALL, ids=lambda x: " ".join(x) if x == () else None)
def test_every_command_has_a_help_with_an_example(
    words: tuple[str, ...], command: click.Command
) -> None:
    del command
    answer = CliRunner().invoke(main, [*words, "--help"])

    assert 0 == answer.exit_code
    assert "Example:\n    " in answer.output
    assert "llmopt " + " ".join(words) in answer.output.split("Example:")[1]


@pytest.mark.parametrize(
    "words",
    [words for words, command in ALL if isinstance(command, click.Group)],
    ids=lambda x: " ".join(("llmopt", *x)),
)
def test_no_list_of_commands_cuts_a_sentence_off(words: tuple[str, ...]) -> None:
    listed = CliRunner().invoke(main, [*words, "--help"]).output.split("Commands:")[1]

    assert "..." not in listed


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None

    assert COMMANDS[name][1].split(".")[0].split(",")[0].split(":")[0] in str(command.help)


@pytest.mark.parametrize(
    "words",
    [words for words, command in ALL if not isinstance(command, click.Group)],
    ids=" ".join,
)
def test_every_command_can_answer_in_json(words: tuple[str, ...]) -> None:
    assert "--json" in CliRunner().invoke(main, [*words, "--help"]).output


@pytest.mark.parametrize(
    "words",
    [
        ("topics", "apply"),
        ("status",),
        ("config", "get", "search/answer"),
        ("pause", "--json"),
        ("dlq", "list", "--json"),
    ],
    ids=" ".join,
)
def test_without_a_broker_one_sentence_says_what_to_do(words: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(main, list(words), env=NOBODY)
    said = (
        "No Kafka broker answers at 127.0.0.1:1: start one with `make up` or set "
        "LLMOPT_BOOTSTRAP_SERVERS."
    )

    assert (1, f"llmopt: {said}\n") == (answer.exit_code, answer.stderr)
    if "--json" in words:
        assert {"error": said, "exit": 1} == json.loads(answer.stdout)
    else:
        assert "" == answer.stdout


def test_a_broken_setting_is_wrong_usage() -> None:
    answer = CliRunner().invoke(main, ["status"], env=NOBODY | {"LLMOPT_WINDOW_GRACE": "long"})

    assert 2 == answer.exit_code
    assert answer.stderr.startswith("llmopt: LLMOPT_WINDOW_GRACE='long' is not a duration")


@pytest.mark.parametrize(
    "words",
    [
        ("staus",),
        ("config", "set", "search/answer"),
        ("config", "set", "a/b", "--provider", "p", "--model", "m", "--temperature", "3"),
        ("config", "set", "a/b", "--provider", "p", "--model", "m", "--temperature", "nan"),
        ("config", "set", "a/b", "--provider", "p", "--model", "m", "--parameter", "seed"),
        ("reset", "nothing"),
        ("catalog", "apply", "/no/such/file.yaml"),
        ("worker", "--stages", "collect,nothing"),
        ("worker", "--name", "a b"),
        ("worker", "--metrics-port", "70000"),
        ("worker", "--metrics-port", "0"),
        ("decisions", "list", "--limit", "0"),
        ("deployments", "list", "--limit", "-1"),
        ("deployments", "show", "r-1", "--plot", "rollout.jpg"),
        ("deployments", "show", "r-1", "--plot", "no/such/folder/rollout.png"),
        ("config", "history", "a/b", "--limit", "0"),
        ("dlq", "show", "llmopt.metrics.v1", "--limit", "-1"),
        ("stop", "search/"),
        ("stop", ""),
        ("pause", "search"),
        ("resume", "*/answer"),
        ("config", "rollback", "/answer"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_before_anything_is_asked(words: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(main, list(words), env=NOBODY)

    assert 2 == answer.exit_code
    assert "" == answer.stdout
    assert "broker" not in answer.stderr


@pytest.mark.parametrize(
    ("words", "exit_"),
    [
        (("staus", "--json"), 2),
        (("config", "set", "a/b", "--json"), 2),
        (("decisions", "list", "--limit", "0", "--json"), 2),
        (("stop", "--json", "search/"), 2),
        (("stop", "--json", "--loudly"), 2),
        (("topics", "show", "nothing", "--json"), 3),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, tuple) else None,
)
def test_a_program_gets_a_document_whatever_is_wrong(words: tuple[str, ...], exit_: int) -> None:
    answer = CliRunner().invoke(main, list(words), env=NOBODY)
    told = json.loads(answer.stdout)

    assert (exit_, exit_) == (answer.exit_code, told["exit"])
    assert told["error"] in answer.stderr


def test_a_failure_after_the_document_adds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @show.as_json
    def half(*, machine: bool) -> None:
        show.document({"done": machine})
        raise Failure("The rest was not.", 4)

    monkeypatch.setattr(main, "get_command", lambda *_: half)
    answer = CliRunner().invoke(main, ["half", "--json"], env=NOBODY)

    assert (4, "llmopt: The rest was not.\n") == (answer.exit_code, answer.stderr)
    assert {"done": True} == json.loads(answer.stdout)


@pytest.mark.parametrize(
    "words", [("dlq", "show", "nothing"), ("topics", "show", "nothing")], ids=" ".join
)
def test_a_topic_that_does_not_exist_is_not_found(words: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(main, list(words), env=NOBODY)

    assert 3 == answer.exit_code
    assert "nothing" in answer.stderr


def test_the_topics_are_listed_as_one_json_document() -> None:
    env = NOBODY | {"LLMOPT_PARTITIONS_DERIVED": "6"}
    answer = CliRunner().invoke(main, ["topics", "list", "--json"], env=env)
    topics = {each["name"]: each for each in json.loads(answer.stdout)}

    assert 6 == topics["llmopt.config.v1"]["partitions"]
    assert 1 == topics["llmopt.commands.v1"]["partitions"]
    assert topics["llmopt.config.v1"]["retention_ms"] is None


def test_the_topics_are_listed_for_people() -> None:
    answer = CliRunner().invoke(main, ["topics", "list"], env=NOBODY)

    assert "newest per key" in answer.stdout
    assert "400 days" in answer.stdout


def test_a_defect_keeps_its_traceback() -> None:
    assert explained(ZeroDivisionError()) is None
    assert explained(KeyError("x")) is None


async def test_a_broker_that_is_gone_when_faust_starts_is_one_sentence_too() -> None:
    client = AIOKafkaClient(bootstrap_servers="127.0.0.1:1")

    with pytest.raises(KafkaConnectionError) as raised:
        await client.bootstrap()

    failure = explained(raised.value)
    assert failure is not None
    assert failure.message.startswith("No Kafka broker answers at ")


def test_asking_for_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom streams.cli import main\n"
        "try:\n main(['--help'])\nexcept SystemExit:\n pass\n"
        "print([m for m in ('confluent_kafka', 'numpy', 'faust', 'psycopg', 'rich', 'fastavro') "
        "if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "[]\n" == done.stderr
