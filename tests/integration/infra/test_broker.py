import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from infra import ports
from infra.errors import NotRunning, StartFailed
from infra.kafka.broker import Broker
from infra.kafka.install import install

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_servers")]
QUIET = {"log_level": 0, "reconnect.backoff.max.ms": 500}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as started:
        yield started


def seconds(work: Callable[[], object]) -> float:
    before = time.monotonic()
    work()
    return time.monotonic() - before


def new_topic(broker: Broker) -> str:
    name = f"t-{uuid.uuid4()}"
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, **QUIET})
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(10)
    return name


def produce(broker: Broker, topic: str, values: list[bytes]) -> None:
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "acks": "all", **QUIET}
        | {"message.max.bytes": 2_000_000}
    )
    failed = []
    for value in values:
        producer.produce(topic, value, on_delivery=lambda e, _: failed.append(e) if e else None)

    assert 0 == producer.flush(30)
    assert [] == failed


def consume(broker: Broker, topic: str, n: int) -> list[bytes]:
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": topic, **QUIET}
        | {"auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    values: list[bytes] = []
    deadline = time.monotonic() + 30
    while len(values) < n and time.monotonic() < deadline:
        values += [m.value() for m in consumer.consume(n, 0.2) if m.error() is None]
    consumer.close()
    return sorted(values)


def test_a_killed_broker_is_back_within_seconds_with_its_data(broker: Broker) -> None:
    topic, values = new_topic(broker), [b"%03d" % i for i in range(100)]
    produce(broker, topic, values)
    orderly = seconds(broker.restart)
    servers, killed = broker.bootstrap_servers, broker.pid
    os.kill(killed, signal.SIGKILL)
    crashed = seconds(broker.restart)

    assert values == consume(broker, topic, 100)
    assert servers == broker.bootstrap_servers
    assert killed != broker.pid
    # Without the shortened broker session it waits 9 s more for its old registration to expire.
    assert crashed < orderly + 6


def test_a_transaction_open_across_a_crash_commits(broker: Broker) -> None:
    topic = new_topic(broker)
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, **QUIET}
        | {"transactional.id": topic, "transaction.timeout.ms": 30_000}
    )
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"before")
    producer.flush(10)
    broker.kill()
    broker.start()
    producer.produce(topic, b"after")
    producer.commit_transaction(20)

    assert [b"after", b"before"] == consume(broker, topic, 2)


def test_a_message_of_one_megabyte_is_taken(broker: Broker) -> None:
    topic, large = new_topic(broker), os.urandom(1_048_576)
    produce(broker, topic, [large])

    assert [large] == consume(broker, topic, 1)


def test_a_topic_is_not_created_by_a_typo(broker: Broker) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, **QUIET})
    admin.list_topics("typo", timeout=10)

    assert "typo" not in admin.list_topics(timeout=10).topics


def test_a_stopped_broker_has_no_pid_and_comes_back_on_its_port(broker: Broker) -> None:
    servers = broker.bootstrap_servers
    broker.stop()

    with pytest.raises(NotRunning, match="start it first"):
        broker.pid  # noqa: B018

    broker.stop()
    broker.start()

    assert broker.alive
    assert servers == broker.bootstrap_servers


def test_a_taken_port_is_said_before_anything_starts(broker: Broker, tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match=f"Port {broker.port} for the kafka is taken"):
        Broker(tmp_path, broker.port).start()


def test_a_folder_whose_ports_were_taken_meanwhile_moves(tmp_path: Path) -> None:
    with Broker(tmp_path) as first:
        topic = new_topic(first)
        produce(first, topic, [b"x"])
    (tmp_path / "ports.json").unlink()
    with Broker(tmp_path) as moved:
        assert first.port != moved.port
        assert [b"x"] == consume(moved, topic, 1)


def test_a_broker_that_cannot_start_says_why_and_is_gone(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    with broker:
        pass
    (tmp_path / "data" / "meta.properties").write_text("version=1\ncluster.id=x\nnode.id=7\n")

    with pytest.raises(StartFailed, match="Stored node id 7"):
        broker.start()

    assert not broker.alive
    assert not ports.listening(broker.port)


def test_of_many_that_install_at_once_one_fetches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jars, mvn = install(print), tmp_path / "bin" / "mvn"
    mvn.parent.mkdir()
    mvn.write_text(
        "#!/bin/sh\nfor a; do case $a in -DoutputDirectory=*) d=${a#*=};; esac; done\n"
        f'echo fetch >> {tmp_path}/count; sleep 0.2; mkdir -p "$d"; ln -s {jars}/*.jar "$d"\n'
    )
    mvn.chmod(0o755)
    monkeypatch.setenv("PATH", f"{mvn.parent}:{os.environ['PATH']}")
    with ThreadPoolExecutor(4) as many:
        installed = set(many.map(lambda _: install(lambda _: None, tmp_path / "libs"), "1234"))

    assert {tmp_path / "libs" / "jars"} == installed
    assert "fetch\n" == (tmp_path / "count").read_text()
    assert 53 == len(list((tmp_path / "libs" / "jars").glob("*.jar")))
