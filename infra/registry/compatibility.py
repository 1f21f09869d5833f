"""Whether a schema may follow others, by the rules of Avro's schema resolution."""

from collections.abc import Sequence
from enum import StrEnum

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.schema import Schema, parse


class Level(StrEnum):
    """Who must be able to read whose records."""

    NONE = "NONE"  # anything may follow anything
    BACKWARD = "BACKWARD"  # the new schema reads what the last one wrote
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"  # … what any earlier one wrote
    FORWARD = "FORWARD"  # the last schema reads what the new one writes
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"  # any earlier one does
    FULL = "FULL"  # both ways, with the last one
    FULL_TRANSITIVE = "FULL_TRANSITIVE"  # both ways, with all


def breaks(level: Level, new: str, earlier: Sequence[str]) -> list[str]:
    """The reasons why *new* may not follow *earlier*.

    Args:
        level: The rule.
        new: The candidate, as JSON.
        earlier: The subject's schemas, oldest first, as JSON.

    Returns:
        One sentence a reason; empty when it may follow.

    >>> breaks(Level.BACKWARD, '"long"', ['"int"'])
    []
    >>> len(breaks(Level.FORWARD, '"long"', ['"int"']))
    1
    """
    kind, _, transitive = level.partition("_")
    checked = earlier if transitive else earlier[-1:]
    reasons: list[str] = []
    for old in checked:
        if kind in {"BACKWARD", "FULL"}:
            found = unreadable(reader=new, writer=old)
            reasons += [
                f"the new schema cannot read what an earlier one wrote: {why}" for why in found
            ]
        if kind in {"FORWARD", "FULL"}:
            found = unreadable(reader=old, writer=new)
            reasons += [
                f"an earlier schema cannot read what the new one writes: {why}" for why in found
            ]
    return list(dict.fromkeys(reasons))


def unreadable(reader: str, writer: str) -> list[str]:
    """Why records of *writer* cannot be read with *reader*; empty when they can."""
    found = ReaderWriterCompatibilityChecker().get_compatibility(parsed(reader), parsed(writer))
    if found.compatibility is SchemaCompatibilityType.compatible:
        return []
    kinds = ", ".join(
        dict.fromkeys(kind.value.replace("_", " ") for kind in found.incompatibilities)
    )
    return [f"{kinds} ({', '.join(sorted(found.messages))}) at {' '.join(sorted(found.locations))}"]


def parsed(schema: str) -> Schema:
    """The schema as the avro package sees it.

    Raises:
        ValueError: It is no Avro schema.
    """
    try:
        return parse(schema)
    except (
        AvroException,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ) as error:
        raise ValueError(f"not an Avro schema: {error}") from error
