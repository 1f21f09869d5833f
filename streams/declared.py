"""The catalog as it stands on its topic, read once."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.catalog import Catalog, Entry
from schemas.codec import Codec
from schemas.declare import gather
from schemas.errors import Undecodable
from schemas.registry import RegistryClient
from schemas.topics import CATALOG
from streams.exactly_once.whole import Entries, key_of
from streams.reading import read_all
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Declared:
    """The entries in force by key, and a sentence for each that cannot be used."""

    entries: dict[str, Entry]
    refused: tuple[str, ...]

    @property
    def catalog(self) -> Catalog:
        """The entries as one value."""
        return gather(self.entries, 0)


def declared(settings: Settings) -> Declared:
    """Read the catalog's topic to its end.

    An entry that cannot be used leaves the one before it in force, as in the workers.

    Raises:
        Unreachable: The topic is missing.
        KafkaException: No broker answers.
    """
    refused: dict[str, str] = {}
    with RegistryClient(settings.schema_registry_url) as registry:
        entries = Entries(Codec(registry))
        for message in sorted(read_all(settings, CATALOG), key=lambda m: m.offset()):
            key = key_of(message)
            refused.pop(key, None)
            try:
                entries.apply(message)
            except Undecodable as error:
                refused[key] = f"{key}: {error}"
    return Declared(dict(sorted(entries.by_key.items())), tuple(refused.values()))
