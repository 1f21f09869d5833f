"""What the registry knows, folded from the records of its topic."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.registry.compatibility import Level, parsed
from infra.registry.errors import bad_schema, no_subject, no_version

DEFAULT_LEVEL = Level.BACKWARD

# A record of the topic: the key's and the value's JSON; no value deletes the key.
Record = tuple[dict[str, Any], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Version:
    """A schema as one version of a subject."""

    subject: str
    number: int
    id: int
    schema: str
    deleted: bool = False

    def record(self, *, deleted: bool = False) -> Record:
        """How it is kept in the topic."""
        return schema_key(self.subject, self.number), {
            "subject": self.subject,
            "version": self.number,
            "id": self.id,
            "schema": self.schema,
            "deleted": deleted,
        }


class Subjects:
    """The present state. Only `apply` changes it."""

    def __init__(self) -> None:
        self._versions: dict[str, dict[int, Version]] = {}
        self._schemas: dict[int, str] = {}
        self._ids: dict[str, int] = {}
        self._levels: dict[str | None, Level] = {}

    def apply(self, key: dict[str, Any], value: dict[str, Any] | None) -> None:
        """Take in one record of the topic; kinds that are not known are passed over."""
        match key:
            case {"keytype": "SCHEMA", "subject": subject, "version": number}:
                self._apply_schema(subject, number, value)
            case {"keytype": "CONFIG", "subject": subject}:
                if value is None:
                    self._levels.pop(subject, None)
                else:
                    self._levels[subject] = Level(value["compatibilityLevel"])
            case {"keytype": "DELETE_SUBJECT", "subject": subject} if value is not None:
                for version in list(self._versions.get(subject, {}).values()):
                    if version.number <= value["version"]:
                        self.apply(*version.record(deleted=True))

    def _apply_schema(self, subject: str, number: int, value: dict[str, Any] | None) -> None:
        if value is None:
            self._versions.get(subject, {}).pop(number, None)
            return
        version = Version(
            subject, number, value["id"], value["schema"], value.get("deleted", False)
        )
        self._versions.setdefault(subject, {})[number] = version
        self._schemas[version.id] = version.schema
        self._ids.setdefault(identity(version.schema), version.id)

    def names(self, *, deleted: bool = False) -> list[str]:
        """The subjects, sorted."""
        return sorted(subject for subject in self._versions if self.all(subject, deleted=deleted))

    def all(self, subject: str, *, deleted: bool = False) -> list[Version]:
        """The versions of a subject, oldest first; empty when it is not known."""
        versions = self._versions.get(subject, {})
        return [versions[n] for n in sorted(versions) if deleted or not versions[n].deleted]

    def versions(self, subject: str, *, deleted: bool = False) -> list[Version]:
        """The versions of a subject, oldest first.

        Raises:
            Refused: It has none.
        """
        found = self.all(subject, deleted=deleted)
        if not found:
            raise no_subject(subject)
        return found

    def version(self, subject: str, number: int | None, *, deleted: bool = False) -> Version:
        """One version of a subject, the latest for None.

        Raises:
            Refused: The subject or the version does not exist.
        """
        found = self.versions(subject, deleted=deleted)
        if number is None:
            return found[-1]
        for version in found:
            if version.number == number:
                return version
        raise no_version(number)

    def same(self, subject: str, schema: str, *, deleted: bool = False) -> Version | None:
        """The newest version of a subject that is this very schema."""
        wanted = identity(schema)
        found = (
            v for v in reversed(self.all(subject, deleted=deleted)) if identity(v.schema) == wanted
        )
        return next(found, None)

    def schema(self, number: int) -> str | None:
        """The schema with an id, deleted or not: records written with it remain."""
        return self._schemas.get(number)

    def using(self, number: int, *, deleted: bool = False) -> Iterator[Version]:
        """The versions of all subjects that have a schema's id."""
        for subject in self.names(deleted=deleted):
            yield from (v for v in self.all(subject, deleted=deleted) if v.id == number)

    def next(self, subject: str, schema: str) -> Version:
        """The version that registering a schema makes: a known schema keeps its id."""
        taken = self._versions.get(subject, {})
        number = self._ids.get(identity(schema)) or max(self._schemas, default=0) + 1
        return Version(subject, max(taken, default=0) + 1, number, schema)

    def level(self, subject: str | None) -> Level | None:
        """The level set for a subject, or for all (None); None when it is not set."""
        return self._levels.get(subject)

    def effective_level(self, subject: str) -> Level:
        """The level that holds for a subject."""
        return self.level(subject) or self.level(None) or DEFAULT_LEVEL


def schema_key(subject: str, number: int) -> dict[str, Any]:
    """The key of a version's record."""
    return {"keytype": "SCHEMA", "subject": subject, "version": number, "magic": 1}


def config_key(subject: str | None) -> dict[str, Any]:
    """The key of a level's record."""
    return {"keytype": "CONFIG", "subject": subject, "magic": 0}


def delete_key(subject: str) -> dict[str, Any]:
    """The key of a subject's deletion."""
    return {"keytype": "DELETE_SUBJECT", "subject": subject, "magic": 0}


def compact(schema: str) -> str:
    """A schema as it is kept: valid, without needless space, attributes in their order.

    Raises:
        Refused: It is no Avro schema.

    >>> compact('{ "type": "string" }'), compact('"long"')
    ('{"type":"string"}', '"long"')
    """
    try:
        parsed(schema)
        return json.dumps(json.loads(schema), separators=(",", ":"), ensure_ascii=False)
    except ValueError as error:
        raise bad_schema(str(error)) from error


def identity(schema: str) -> str:
    """What two texts of one schema have in common: their JSON, whatever its order."""
    return json.dumps(json.loads(schema), separators=(",", ":"), sort_keys=True)
