from __future__ import annotations

from pathlib import Path

import pytest

from sinks.errors import MigrationRefused
from sinks.migrate import FOLDER, Migration, load, pending

FIRST, SECOND = Migration(1, "0001_a", "SELECT 1"), Migration(2, "0002_b", "SELECT 2")


def applied(*migrations: Migration) -> dict[int, tuple[str, str]]:
    return {each.number: (each.name, each.checksum) for each in migrations}


def test_the_migrations_of_the_house_are_in_order() -> None:
    assert list(range(1, len(list(FOLDER.glob("*.sql"))) + 1)) == [m.number for m in load()]


def test_only_what_is_missing_is_left_to_apply() -> None:
    assert [FIRST, SECOND] == pending([FIRST, SECOND], {})
    assert [SECOND] == pending([FIRST, SECOND], applied(FIRST))
    assert [] == pending([FIRST, SECOND], applied(FIRST, SECOND))


def test_a_file_that_changed_after_it_was_applied_is_refused() -> None:
    changed = Migration(1, "0001_a", "SELECT 3")

    with pytest.raises(MigrationRefused, match=r"0001_a\.sql was changed"):
        pending([changed, SECOND], applied(FIRST))


def test_a_database_of_a_newer_program_is_refused() -> None:
    with pytest.raises(MigrationRefused, match="0002_b, which this program does not know"):
        pending([FIRST], applied(FIRST, SECOND))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("0001_a", "0003_c"), "0003_c should have the number 0002"),
        (("0001_a", "0001_b"), "0001_b should have the number 0002"),
        (("first",), r"first\.sql is no migration"),
    ],
)
def test_a_misnumbered_file_is_refused(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    for name in names:
        (tmp_path / f"{name}.sql").write_text("SELECT 1")

    with pytest.raises(MigrationRefused, match=said):
        load(tmp_path)
