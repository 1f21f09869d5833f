"""Which schema has which id: the registry over HTTP, and its twin in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Self, TypeVar

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from schemas import avsc
from schemas.avsc import Written
from schemas.errors import Incompatible, Reason, RegistryUnavailable, Undecodable
from schemas.topics import Topic

T = TypeVar("T")

UNKNOWN_FOR = 5.0  # seconds that "no such id", or a list of all ids, is believed
ONE_BY_ONE = 8  # ids that are asked for each by itself; of more at once a list is asked for
NEARBY = 1_000  # ids above a list's newest that may have been given since; it says nothing of them
MOST_UNKNOWN = 65_536  # ids of which it is remembered that there is no such
NOT_FOUND = 404
REFUSALS = (409, 422)  # incompatible, invalid


@dataclass(frozen=True, slots=True)
class List:
    """All ids of a registry at some time, believed *until* then, monotonic seconds."""

    ids: frozenset[int] = frozenset()
    newest: int = 0
    until: float = 0.0

    def lacks(self, id_: int, now: float) -> bool:
        """Whether there is no such id.

        Registries count upwards: nothing is added below the newest id, and nothing soon far above.
        """
        return now < self.until and id_ not in self.ids and not 0 < id_ - self.newest <= NEARBY


class RegistryClient:
    """A Confluent-compatible schema registry.

    An id never changes its meaning, so answers are kept for good; only "no such id" is asked
    again after a few seconds. Failed requests are repeated by the HTTP client, a bounded number
    of times.

    Args:
        url: Where it listens, several separated by commas; may carry `user:password@`.
        timeout: Of one request, seconds.
        retries: After the first attempt.
    """

    def __init__(self, url: str, *, timeout: float = 5.0, retries: int = 3) -> None:
        self._url = url.rsplit("@", 1)[-1]
        self._client = SchemaRegistryClient(
            {
                "url": url,
                "timeout": timeout,
                "max.retries": retries,
                "retries.wait.ms": 50,
                "retries.max.wait.ms": 1_000,
            }
        )
        self._ids: dict[str, int] = {}
        self._schemas: dict[int, Written | Undecodable] = {}
        self._unknown: dict[int, float] = {}  # id -> when to ask again, monotonic seconds
        self._list = List()

    def __enter__(self) -> Self:
        """Use it as a context, to let its connections go at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the connections go."""
        self.close()

    def close(self) -> None:
        """Let the connections go; safe to repeat."""
        self._client.close()

    def id_of(self, topic: Topic, record: type) -> int:
        """The id to write *record* on *topic* with; registers the schema if nobody has.

        Raises:
            Incompatible: The registry refuses the schema.
            RegistryUnavailable: It could not be asked.
        """
        subject = avsc.subject(topic, record)
        if subject not in self._ids:
            self._ids[subject] = self._register(subject, record)
        return self._ids[subject]

    def schema(self, id_: int) -> Written:
        """The schema that has the id *id_*.

        Raises:
            Undecodable: UNKNOWN_SCHEMA when there is none, FOREIGN_SCHEMA when it is not Avro.
            RegistryUnavailable: The registry could not be asked.
        """
        if id_ not in self._schemas:
            self._schemas[id_] = self._fetch(id_)
        found = self._schemas[id_]
        if isinstance(found, Undecodable):
            raise Undecodable(found.reason, found.detail)
        return found

    def look_up(self, ids: Collection[int]) -> None:
        """Learn at once which of many ids there are not, so that `schema` need not ask for each.

        Broken messages have any number where the id is, and a question takes milliseconds.

        Raises:
            RegistryUnavailable: The registry could not be asked.
        """
        new = [id_ for id_ in ids if id_ not in self._schemas and not self._missing(id_)]
        if len(new) <= ONE_BY_ONE:
            return
        until = time.monotonic() + UNKNOWN_FOR
        there = self._listed()
        # A list without what we know is there is of something else: of other schemas, or of none.
        if not there or not there.issuperset(self._good()):
            return
        self._list = List(there, max(there), until)
        self._deny(id_ for id_ in new if id_ not in there and not self._missing(id_))

    def register_all(self) -> Mapping[str, int]:
        """Register every schema of the contract; repeating it changes nothing.

        Returns:
            Subject → id.

        Raises:
            Incompatible: The registry refuses one.
            RegistryUnavailable: It could not be asked.
        """
        for subject, record in avsc.subjects().items():
            self._ids[subject] = self._register(subject, record)
        return dict(self._ids)

    def _register(self, subject: str, record: type) -> int:
        schema = Schema(avsc.text(record), "AVRO")
        try:
            id_: int = self._ask(lambda: self._client.register_schema(subject, schema))
        except SchemaRegistryError as error:
            raise Incompatible(
                f"The registry refuses the schema of {record.__name__} as {subject}: "
                f"{error.error_message} Make the change compatible, or begin a new topic version."
            ) from error
        return id_

    def _fetch(self, id_: int) -> Written | Undecodable:
        unknown = Undecodable(Reason.UNKNOWN_SCHEMA, f"the registry knows no schema {id_}")
        if self._missing(id_):
            raise unknown
        try:
            schema = self._ask(lambda: self._client.get_schema(id_))
        except SchemaRegistryError:
            self._deny([id_])
            raise unknown from None
        try:
            if schema.schema_type != "AVRO":
                return Undecodable(Reason.FOREIGN_SCHEMA, f"schema {id_} is {schema.schema_type}")
            return Written.of(id_, schema.schema_str)
        except ValueError as error:
            return Undecodable(Reason.FOREIGN_SCHEMA, f"schema {id_} is {error}")

    def _missing(self, id_: int) -> bool:
        """Whether it is known that there is no such id."""
        now = time.monotonic()
        return now < self._unknown.get(id_, 0.0) or self._list.lacks(id_, now)

    def _listed(self) -> frozenset[int]:
        """The ids of all schemas, those of deleted versions too; none where it is not told."""
        rest = self._client._rest_client  # noqa: SLF001  # the client has no method for this
        try:
            found = self._ask(lambda: rest.get("schemas", {"deleted": "true"}))
        except SchemaRegistryError:
            return frozenset()
        return frozenset(int(each["id"]) for each in found)

    def _good(self) -> set[int]:
        """The ids that the registry is known to have."""
        return self._schemas.keys() | set(self._ids.values())

    def _deny(self, ids: Iterable[int]) -> None:
        """Remember for a while that there are no such ids."""
        now = time.monotonic()
        if len(self._unknown) > MOST_UNKNOWN:
            self._unknown = {id_: until for id_, until in self._unknown.items() if until > now}
        self._unknown |= dict.fromkeys(ids, now + UNKNOWN_FOR)

    def _ask(self, request: Callable[[], T]) -> T:
        """The answer; SchemaRegistryError only for a definite no."""
        try:
            return request()
        except SchemaRegistryError as error:
            if error.http_status_code in (NOT_FOUND, *REFUSALS):
                raise
            raise RegistryUnavailable(f"The registry at {self._url} fails: {error}") from error
        except Exception as error:
            # Which HTTP library the client uses, and so what it raises, is its own business.
            raise RegistryUnavailable(
                f"The registry at {self._url} does not answer: {error!r}"
            ) from error


class LocalRegistry:
    """The contract's own schemas with ids from 1 in the order of the topics, in memory.

    >>> from schemas.metric import MetricEvent
    >>> from schemas.topics import METRICS
    >>> registry = LocalRegistry()
    >>> registry.schema(registry.id_of(METRICS, MetricEvent)).name
    'llmopt.MetricEvent'
    """

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}  # text -> id, as one schema has one id in all subjects
        self._schemas: dict[int, Written] = {}
        self.register_all()

    def id_of(self, topic: Topic, record: type) -> int:
        """The id to write *record* on *topic* with."""
        del topic
        return self.register(avsc.text(record))

    def schema(self, id_: int) -> Written:
        """The schema that has the id *id_*.

        Raises:
            Undecodable: UNKNOWN_SCHEMA, there is none.
        """
        if id_ not in self._schemas:
            raise Undecodable(Reason.UNKNOWN_SCHEMA, f"the registry knows no schema {id_}")
        return self._schemas[id_]

    def look_up(self, ids: Collection[int]) -> None:
        """Nothing to be learnt: all is here."""

    def register(self, text: str) -> int:
        """The id of any schema, new if it was not known.

        Raises:
            ValueError: It is no Avro schema.
        """
        if text not in self._ids:
            id_ = len(self._ids) + 1
            self._schemas[id_] = Written.of(id_, text)
            self._ids[text] = id_
        return self._ids[text]

    def register_all(self) -> Mapping[str, int]:
        """Subject → id of every schema of the contract."""
        return {s: self.register(avsc.text(record)) for s, record in avsc.subjects().items()}


Registry = RegistryClient | LocalRegistry
