"""Put on its topic what was commanded on this machine while no broker was there."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import KafkaException

from schemas.command import Command, CommandKind
from streams.exactly_once.errors import Retake
from streams.exactly_once.session import Session
from streams.log import log
from streams.sending import send
from streams.spool import overtaken

PATIENCE = 5.0  # seconds for a broker to take a command


def overruled(session: Session) -> bool:
    """Whether there is, or may be, a command of this machine that nothing may be written before."""
    spool = session.home.spool
    return spool is not None and bool(spool.waiting() or spool.unread)


def relay(session: Session) -> None:
    """Tell what waits in the spool of this machine, and read it back.

    Each command takes its place at the end of the topic, unless it stands there already, or one
    that was given later says the contrary. After this no step of the session can write a config
    that does not know of it; a commit that cannot come so far fails with the broker's error.

    Raises:
        Retake: the broker did not take it, or did not give it back, or it could not be read.
    """
    spool = session.home.spool
    if spool is None or not session.stage.obeys or not overruled(session):
        return
    if spool.unread:
        raise Retake(f"what was commanded on this machine cannot be read: {min(spool.unread)}")
    try:
        with spool.alone():
            for command in spool.waiting():
                _tell(session, command, spool.waiting())
                spool.remove(command)
    except (KafkaException, OSError) as error:
        raise Retake(f"telling what was commanded on this machine: {error}") from error


def _tell(session: Session, command: Command, waiting: Sequence[Command]) -> None:
    """Put *command* on the topic, unless it is there, or told or *waiting* words overtake it."""
    session.catch_up()
    if _told(session, command):
        return
    said = {"kind": command.kind.value, "scope": command.scope, "by": command.by}
    resumes = [each for each in waiting if each.kind is CommandKind.RESUME]  # told after this
    if overtaken(command, [*resumes, *(each.value for each in session.told.inputs)]):
        log.warning("a command of this machine was overtaken", **said)
        return
    send(session.home.brokers, command, PATIENCE)
    session.catch_up()
    if not _told(session, command):
        raise Retake(f"the {command.kind.value} of {command.scope} was told, but not read back")
    log.warning("a command of this machine was told", **said)


def _told(session: Session, command: Command) -> bool:
    """Whether *command* is on the topic, as far as that was read."""
    return any(each.value == command for each in session.told.inputs)
