import json
from typing import Any

import pytest

from infra.registry.compatibility import Level, breaks, parsed

A: dict[str, Any] = {"name": "a", "type": "int"}
B: dict[str, Any] = {"name": "b", "type": "string"}
B_DEFAULT: dict[str, Any] = {**B, "default": "x"}


def record(*fields: dict[str, Any], name: str = "R") -> str:
    return json.dumps({"type": "record", "name": name, "fields": fields})


# new, earlier, and the levels that refuse it
CASES = [
    (record(A, B), [record(A)], {"BACKWARD", "FULL"}),
    (record(A, B_DEFAULT), [record(A)], set()),
    (record(A), [record(A, B)], {"FORWARD", "FULL"}),
    (record(A), [record(A, B_DEFAULT)], set()),
    (record({"name": "a", "type": "long"}), [record(A)], {"FORWARD", "FULL"}),
    (record({"name": "a", "type": "string"}), [record(A)], {"BACKWARD", "FORWARD", "FULL"}),
    (record(A, name="Q"), [record(A)], {"BACKWARD", "FORWARD", "FULL"}),
    (
        record({"name": "a", "type": ["null", "int"], "default": None}),
        [record(A)],
        {"FORWARD", "FULL"},
    ),
]


@pytest.mark.parametrize(("new", "earlier", "refusing"), CASES)
@pytest.mark.parametrize("level", list(Level))
def test_a_level_refuses_what_its_readers_could_not_read(
    new: str, earlier: list[str], refusing: set[str], level: Level
) -> None:
    assert (level.removesuffix("_TRANSITIVE") in refusing) == bool(breaks(level, new, earlier))


def test_only_the_transitive_levels_look_beyond_the_last_version() -> None:
    first, second, third = record(A), record(A, B_DEFAULT), record(A, B)

    assert [] == breaks(Level.BACKWARD, third, [first, second])
    assert [] != breaks(Level.BACKWARD_TRANSITIVE, third, [first, second])


def test_an_enum_may_lose_a_symbol_only_with_a_default() -> None:
    def enum(symbols: list[str], **more: str) -> str:
        return json.dumps({"type": "enum", "name": "E", "symbols": symbols, **more})

    assert [] != breaks(Level.BACKWARD, enum(["A"]), [enum(["A", "B"])])
    assert [] == breaks(Level.BACKWARD, enum(["A"], default="A"), [enum(["A", "B"])])


def test_a_recursive_schema_is_compatible_with_itself() -> None:
    tree = record({"name": "children", "type": {"type": "array", "items": "R"}})

    assert [] == breaks(Level.FULL_TRANSITIVE, tree, [tree])


def test_a_reason_names_the_field_and_what_is_wrong_with_it() -> None:
    (reason,) = breaks(Level.BACKWARD, record(A, B), [record(A)])

    assert "reader field missing default value (b) at /fields/1" in reason


@pytest.mark.parametrize(
    "broken",
    ["{", "null", "3", '"foo"', '{"type": "foo"}', '{"type": "record", "name": "R"}', record({})],
)
def test_what_is_no_schema_is_a_value_error(broken: str) -> None:
    with pytest.raises(ValueError, match="not an Avro schema"):
        parsed(broken)
