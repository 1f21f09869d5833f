"""The catalog at any offset of its topic, as the workers saw it then."""

from __future__ import annotations

from schemas.catalog import Catalog, Entry
from schemas.declare import gather
from schemas.errors import Undecodable
from schemas.journal import Range
from schemas.topics import CATALOG
from streams.exactly_once.recording import Recording
from streams.exactly_once.tape import held
from streams.exactly_once.whole import Entries, Refused


class Catalogs:
    """All that the topic still tells, with the override of the recording on top."""

    def __init__(self, recording: Recording) -> None:
        self.override = dict(recording.override)
        self.end = recording.ends(CATALOG.name)[1]
        self.versions: list[tuple[int, dict[str, Entry]]] = []
        self.refused: list[Refused] = []  # by the workers, too
        entries = Entries(recording.codec)
        for message in recording.all_of(CATALOG.name):
            try:
                entries.apply(message)
            except Undecodable as error:
                self.refused.append(Refused(message, error))
            else:
                self.versions.append((message.offset(), entries.by_key))
        self.made: dict[int, Catalog] = {}

    def at(self, offset: int) -> Catalog:
        """The catalog of the entries before *offset*.

        Raises:
            Incomparable: the topic ends before it; what was lost is not known.
        """
        if offset not in self.made:
            if offset > self.end:
                held(Range(topic=CATALOG.name, partition=0, start=0, end=offset), 0, self.end)
            known: dict[str, Entry] = {}
            for position, entries in self.versions:
                if position >= offset:
                    break
                known = entries
            self.made[offset] = gather(known | self.override, offset)
        return self.made[offset]
