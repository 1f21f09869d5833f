"""What can go wrong while writing, named for what the caller does next."""

from __future__ import annotations


class SinkError(Exception):
    """A batch was not written."""


class Unavailable(SinkError):
    """The far side is down, slow or not ready. Keep the batch and try again."""


class Refused(SinkError):
    """The far side will never take this row. Send it to the dead letters."""


class Behind(SinkError):
    """The far side has lost what it had taken. Read again from where it is, then write."""


class MigrationRefused(SinkError):
    """Tables and program do not fit. A person has to read the sentence."""
