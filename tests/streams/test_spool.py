from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas.command import Command, CommandKind
from streams.spool import Spool, overtaken

STOP = Command(id="1", kind=CommandKind.STOP, scope="*", at=1_000, by="ada")
RESUME = replace(STOP, id="2", kind=CommandKind.RESUME, at=2_000)


def test_what_is_put_waits_in_the_order_in_which_it_was_given(tmp_path: Path) -> None:
    early = replace(STOP, id="0", scope="a/b", at=500)  # by a clock that was set back
    for each in (STOP, RESUME, early):
        Spool(tmp_path, "a:1").put(each)

    assert (STOP, RESUME, early) == Spool(tmp_path, "a:1").waiting()


def test_a_spool_sees_what_others_put_and_remove(tmp_path: Path) -> None:
    mine, others = Spool(tmp_path, "a:1"), Spool(tmp_path, "a:1")
    none = mine.waiting()
    others.put(STOP)
    one = mine.waiting()
    others.remove(STOP)

    assert ((), (STOP,), ()) == (none, one, mine.waiting())


@pytest.mark.parametrize(
    ("brokers", "reached"),
    [("A:1", True), ("b:2,a:1", True), ("PLAINTEXT://a:1", True), ("b:2", False), ("a:11", False)],
)
def test_a_command_reaches_those_who_name_one_of_its_brokers(
    tmp_path: Path, brokers: str, *, reached: bool
) -> None:
    Spool(tmp_path, "c:3, a:1").put(STOP)

    assert ((STOP,) if reached else ()) == Spool(tmp_path, brokers).waiting()


def test_a_file_that_is_no_command_holds_up_nothing_else(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "a:1")
    spool.put(STOP)
    (spool.folder / "0-x.json").write_text('{"command"')

    assert (STOP,) == spool.waiting()


def failing_once(call: Callable[..., Any]) -> Callable[..., Any]:
    """*call*, but the first time there are too many open files."""
    tries = iter([True])

    def tried(*arguments: Any) -> Any:
        if next(tries, False):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return call(*arguments)

    return tried


@pytest.mark.parametrize(("of", "name"), [(Path, "read_bytes"), (os, "listdir")])
def test_what_cannot_be_read_at_one_look_is_read_at_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: object, name: str
) -> None:
    Spool(tmp_path, "a:1").put(STOP)
    spool = Spool(tmp_path, "a:1")
    monkeypatch.setattr(of, name, failing_once(getattr(of, name)))
    first = (spool.waiting(), len(spool.unread))
    second = (spool.waiting(), len(spool.unread))

    assert [((), 1), ((STOP,), 0)] == [first, second]


def test_what_was_read_still_waits_when_the_folder_cannot_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, "a:1")
    spool.put(STOP)
    before = spool.waiting()
    monkeypatch.setattr(os, "listdir", failing_once(os.listdir))

    assert (STOP,) == before == spool.waiting()
    assert spool.keeps(STOP)


def test_what_stays_unreadable_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spool = Spool(tmp_path, "a:1")
    (spool.folder / "1-x.json").mkdir(parents=True)
    looks = [spool.waiting() for _ in range(3)]

    assert [()] * 3 == looks
    assert 1 == capsys.readouterr().err.count("spooled command cannot be read")


def test_a_folder_that_may_be_listed_again_is_not_barred_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, "a:1")
    spool.put(STOP)
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", lambda *_: (_ for _ in ()).throw(PermissionError("not yours")))
        first = (spool.waiting(), spool.barred, spool.unread)

    assert ((), "not yours", {}) == first
    assert ((STOP,), "") == (spool.waiting(), spool.barred)


def test_nothing_half_written_is_ever_seen(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "a:1")
    spool.put(STOP)
    (spool.folder / ".9-half.json.77").write_text("{")

    assert (STOP,) == spool.waiting()


def test_a_resume_withdraws_the_holds_that_it_lifts(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "a:1")
    single = replace(STOP, id="3", scope="a/b")
    other = replace(STOP, id="4", scope="c/d")
    for each in (STOP, single, other):
        spool.put(each)
    lifted = spool.withdraw(replace(RESUME, scope="a/b"))

    assert ((single,), (STOP, other)) == (lifted, spool.waiting())


def test_a_resume_where_nothing_was_ever_spooled_withdraws_nothing(tmp_path: Path) -> None:
    assert () == Spool(tmp_path / "none", "a:1").withdraw(RESUME)


@pytest.mark.parametrize(
    ("command", "other", "lost"),
    [
        (STOP, RESUME, True),
        (replace(STOP, scope="a/b"), RESUME, True),
        (STOP, replace(RESUME, scope="a/b"), False),  # it lifts the hold of one scope
        (replace(STOP, scope="a/b"), replace(RESUME, scope="a/b"), True),
        (STOP, replace(RESUME, at=STOP.at), False),  # of two at the same time the stop holds
        (STOP, replace(STOP, id="9", at=3_000), False),
        (RESUME, replace(STOP, at=3_000), True),
        (RESUME, replace(STOP, scope="a/b", at=3_000), True),
        (replace(RESUME, scope="a/b"), replace(STOP, at=3_000), False),  # that it does not lift
        (RESUME, STOP, False),
        (RESUME, replace(STOP, kind=CommandKind.SET, at=3_000), False),
    ],
)
def test_the_later_word_wins(command: Command, other: Command, *, lost: bool) -> None:
    assert lost == overtaken(command, [other])


def test_a_command_that_cannot_be_removed_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("not yours")

    spool = Spool(tmp_path, "a:1")
    spool.put(STOP)
    monkeypatch.setattr(Path, "unlink", refuse)
    spool.remove(STOP)

    assert () == spool.waiting()
    assert (STOP,) == Spool(tmp_path, "a:1").waiting()
