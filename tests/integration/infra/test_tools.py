import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from infra.environment import BOOTSTRAP_SERVERS, Environment
from infra.kafka.install import HERE

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_servers")]


def tool(name: str, *arguments: str, servers: str = "", said: str = "") -> str:
    """What a tool prints, called from a foreign directory through a link."""
    return subprocess.run(
        [HERE / "bin" / name, *arguments],
        cwd="/",
        env=os.environ | {BOOTSTRAP_SERVERS: servers},
        input=said,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_topics_are_made_written_read_and_their_lag_shown(environment: Environment) -> None:
    servers, topic = environment.bootstrap_servers, f"t-{uuid.uuid4()}"
    tool("kafka-topics", "--create", "--topic", topic, "--partitions", "1", servers=servers)
    tool("kafka-console-producer", "--topic", topic, servers=servers, said="one\ntwo\n")
    read = ("--topic", topic, "--from-beginning", "--max-messages", "1", "--group", topic)
    got = tool("kafka-console-consumer", *read, servers=servers)
    lag = tool("kafka-consumer-groups", "--describe", "--group", topic, servers=servers)

    assert "one\n" == got
    assert [topic, topic, "0", "1", "2", "1"] == lag.splitlines()[-1].split()[:6]


def test_a_server_that_is_named_wins(environment: Environment) -> None:
    named = ("--bootstrap-server", environment.bootstrap_servers)

    assert "_schemas" in tool("kafka-topics", "--list", *named, servers="127.0.0.1:1").split()


def test_a_tool_works_through_a_link(environment: Environment, tmp_path: Path) -> None:
    link = tmp_path / "topics"
    link.symlink_to(HERE / "bin" / "kafka-topics")
    done = subprocess.run(
        [link, "--list", "--bootstrap-server", environment.bootstrap_servers],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "_schemas" in done.stdout.split()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The tools in a tree of their own, with no environment running."""
    kafka = tmp_path / "tree" / "infra" / "kafka"
    shutil.copytree(HERE / "bin", kafka / "bin")
    shutil.copy(HERE / "jars.sha256", kafka)
    shutil.copy(HERE / "tools.log4j2.properties", kafka)
    (kafka / "libs").symlink_to(HERE / "libs")
    return tmp_path / "tree"


def test_without_a_kafka_one_sentence_says_how_to_name_one(
    environment: Environment,  # noqa: ARG001 - has the jars fetched
    copy: Path,
) -> None:
    done = subprocess.run(
        [copy / "infra/kafka/bin/kafka-topics", "--list"],
        env={name: v for name, v in os.environ.items() if name != BOOTSTRAP_SERVERS},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 1 == done.returncode
    assert done.stderr.startswith("No Kafka is known: run 'make up'")


def test_what_up_has_started_is_used_by_default(environment: Environment, copy: Path) -> None:
    from infra.state import Running

    state = copy / ".local" / "dev" / "environment.json"
    state.parent.mkdir(parents=True)
    Running(environment.env(), ()).write(state)
    done = subprocess.run(
        [copy / "infra/kafka/bin/kafka-topics", "--list"],
        env={name: v for name, v in os.environ.items() if name != BOOTSTRAP_SERVERS},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "_schemas" in done.stdout.split()
