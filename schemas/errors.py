"""What can be wrong with a message, named for what the reader does next."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a message went to the dead letters; the label of the counter and of the header."""

    NULL_VALUE = "null_value"  # nothing to read
    TOO_LARGE = "too_large"  # above the size a record of its topic may have
    UNKNOWN_SCHEMA = "unknown_schema"  # the registry does not know the id
    FOREIGN_SCHEMA = "foreign_schema"  # known, but of another record than the topic holds
    BROKEN_AVRO = "broken_avro"  # truncated, or bytes left over
    BROKEN_JSON = "broken_json"  # not JSON at all
    WRONG_SHAPE = "wrong_shape"  # a field is missing or of the wrong type
    NOT_FINITE = "not_finite"  # NaN or an infinity
    NEGATIVE = "negative"  # a quantity below zero
    OUT_OF_RANGE = "out_of_range"  # above what can be meant
    TOO_LONG = "too_long"  # a string above its limit
    EMPTY_NAME = "empty_name"  # a required dimension is the empty string
    RESERVED_NAME = "reserved_name"  # a dimension that could be taken for another: "*", "|", "/"
    TOO_OLD = "too_old"  # before the retention of the topic
    IN_THE_FUTURE = "in_the_future"  # more than five minutes ahead of the clock
    INVALID_ENTRY = "invalid_entry"  # of the catalog: readable, but it says what cannot be meant
    INCONSISTENT = "inconsistent"  # its parts do not fit each other
    MISROUTED = "misrouted"  # on another partition than its scope belongs to
    BROKEN_BATCH = "broken_batch"  # a MetricBatch whose checksum or column lengths disagree


class SchemaError(Exception):
    """The root of what encoding, decoding and the registry raise."""


class Undecodable(SchemaError):
    """These bytes will never be a record. Send them to the dead letters."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


class RegistryUnavailable(SchemaError):
    """The schema registry is down or slow. Keep the bytes and try again."""


class Incompatible(SchemaError):
    """The registry refuses this schema: readers of the old one could not read it."""


class InvalidCatalog(SchemaError):
    """An entry of the catalog cannot be used; the sentence says what to change."""
