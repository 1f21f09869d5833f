"""What a caller of the registry is told, with the protocol's codes."""


class Refused(Exception):
    """The request cannot be served as it is.

    Attributes:
        status: The HTTP status.
        code: The protocol's finer code.
        message: A sentence for the caller.
    """

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Unwritten(Exception):
    """Kafka did not take a change in time. It may or may not have happened: ask again."""


def no_subject(subject: str) -> Refused:
    """The subject was never registered, or is deleted."""
    return Refused(404, 40401, f"Subject '{subject}' not found.")


def no_version(version: object) -> Refused:
    """The subject has no such version."""
    return Refused(404, 40402, f"Version {version} not found.")


def no_schema() -> Refused:
    """No schema has that id, or the subject does not have that schema."""
    return Refused(404, 40403, "Schema not found")


def no_subject_config(subject: str) -> Refused:
    """The subject follows the global compatibility level."""
    return Refused(
        404, 40408, f"Subject '{subject}' does not have subject-level compatibility configured"
    )


def bad_schema(why: str) -> Refused:
    """The schema does not parse, or is of a kind that is not kept here."""
    return Refused(422, 42201, f"Invalid schema: {why}")


def bad_version(version: str) -> Refused:
    """A version that is no version."""
    return Refused(
        422,
        42202,
        f"The specified version '{version}' is not a valid version id. "
        'Allowed values are between [1, 2^31-1] and the string "latest"',
    )


def bad_level(level: object) -> Refused:
    """A compatibility level that does not exist."""
    return Refused(422, 42203, f"Invalid compatibility level: {level!r}.")


def bad_body(why: str) -> Refused:
    """The request's body is not what the resource takes."""
    return Refused(422, 422, f"Invalid request: {why}")


def incompatible(subject: str, reasons: list[str]) -> Refused:
    """The schema breaks those who read or write the subject today."""
    return Refused(
        409,
        409,
        f"Schema being registered is incompatible with an earlier schema for subject '{subject}': "
        + "; ".join(reasons),
    )
