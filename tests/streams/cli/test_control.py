from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.command import Command, CommandKind
from streams.cli import control, home
from streams.settings import Settings
from streams.spool import Spool

STOP = Command(id="1", kind=CommandKind.STOP, scope="*", at=1_000, by="ada")


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    """That a stop waits in, of the machine on which all is commanded."""
    settings = Settings(bootstrap_servers="127.0.0.1:9", state_dir=str(tmp_path))
    monkeypatch.setattr(home, "settings", lambda: settings)
    made = Spool(tmp_path, settings.bootstrap_servers)
    made.put(STOP)
    return made


def resume() -> None:
    control._command(CommandKind.RESUME, "*", "", "ada", machine=False)


def test_a_resume_that_is_killed_while_it_is_sent_leaves_the_stop_that_waits(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(control, "send", kill)
    with pytest.raises(KeyboardInterrupt):
        resume()

    assert (STOP,) == spool.waiting()


def test_a_resume_that_was_sent_withdraws_the_stop_that_waits(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "send", lambda *_: 7)
    monkeypatch.setattr(control, "_tell", lambda *_, **__: None)
    resume()

    assert () == spool.waiting()


@pytest.mark.parametrize(
    ("others", "end"),
    [
        ({"search/answer"}, "'serch/answer'; did you mean 'search/answer'?"),
        ({"mail/draft"}, "'serch/answer'; use one of mail/draft."),
        (set(), "'serch/answer'."),
    ],
)
def test_what_is_strange_is_one_sentence_with_one_end(
    others: set[str], end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.scopes.known", lambda *_: (False, others))
    said = control._strange(Settings(), "serch/answer")

    assert f"Nothing has been served or rolled out in {end}" == said
