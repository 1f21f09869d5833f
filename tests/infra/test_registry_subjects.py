import pytest

from infra.registry.compatibility import Level
from infra.registry.errors import Refused
from infra.registry.subjects import Subjects, compact, config_key, delete_key


def registered(*pairs: tuple[str, str]) -> Subjects:
    subjects = Subjects()
    for subject, schema in pairs:
        subjects.apply(*subjects.next(subject, schema).record())
    return subjects


def test_a_schema_has_one_id_in_all_subjects() -> None:
    subjects = registered(("a", '"int"'), ("a", '"long"'), ("b", '"int"'))

    assert [(1, 1), (2, 2)] == [(v.number, v.id) for v in subjects.versions("a")]
    assert 1 == subjects.version("b", None).id


def test_spacing_and_order_make_no_other_schema() -> None:
    one = compact('{"type": "fixed", "name": "F", "size": 2}')
    other = compact('{ "size":2, "name":"F", "type":"fixed" }')
    subjects = registered(("a", one))

    assert 1 == subjects.next("b", other).id


def test_a_changed_documentation_is_another_schema() -> None:
    subjects = registered(("a", '{"type":"fixed","name":"F","size":2}'))

    assert 2 == subjects.next("a", '{"type":"fixed","name":"F","size":2,"doc":"two"}').id


def test_a_deleted_subject_is_hidden_but_its_ids_and_numbers_stay_taken() -> None:
    subjects = registered(("a", '"int"'), ("a", '"long"'))
    subjects.apply(delete_key("a"), {"subject": "a", "version": 2})

    with pytest.raises(Refused) as refused:
        subjects.versions("a")

    assert (404, 40401) == (refused.value.status, refused.value.code)
    assert '"int"' == subjects.schema(1)
    assert (3, 1) == (subjects.next("a", '"int"').number, subjects.next("a", '"int"').id)
    assert ["a"] == subjects.names(deleted=True)


def test_a_deletion_read_again_does_not_hide_later_versions() -> None:
    subjects = registered(("a", '"int"'))
    subjects.apply(delete_key("a"), {"subject": "a", "version": 1})
    subjects.apply(*subjects.next("a", '"int"').record())
    subjects.apply(delete_key("a"), {"subject": "a", "version": 1})

    assert [2] == [v.number for v in subjects.versions("a")]


def test_a_subject_follows_the_global_level_until_it_has_its_own() -> None:
    subjects = Subjects()

    assert Level.BACKWARD == subjects.effective_level("a")

    subjects.apply(config_key(None), {"compatibilityLevel": "FULL"})
    subjects.apply(config_key("a"), {"compatibilityLevel": "NONE"})

    assert (Level.NONE, Level.FULL) == (
        subjects.effective_level("a"),
        subjects.effective_level("b"),
    )

    subjects.apply(config_key("a"), None)

    assert Level.FULL == subjects.effective_level("a")


def test_records_of_kinds_that_are_not_known_are_passed_over() -> None:
    subjects = registered(("a", '"int"'))
    subjects.apply({"keytype": "NOOP", "magic": 0}, None)
    subjects.apply({}, {"x": 1})

    assert ["a"] == subjects.names()
