"""Command the workers of this machine while no broker is there to tell them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from schemas.command import Command, CommandKind
from streams.presence import Present, present
from streams.settings import Settings
from streams.spool import Spool

STAGE = "actuate"  # that tells what is spooled, and alone writes what it holds
WITHIN = 1.0  # seconds for workers to take note
LOOK = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """What of this machine the spool and its workers say."""

    folder: str
    waiting: tuple[Command, ...]  # not told yet
    unread: Mapping[str, str]  # files that may be commands and cannot be read, and why
    barred: str  # why the folder of the commands may not be listed; "" where it may
    workers: tuple[Present, ...]  # that run the actuator for the same cluster, or may


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A command that no broker took, and which workers of this machine know of it."""

    command: Command
    folder: str
    reached: tuple[Present, ...]
    missed: tuple[Present, ...]
    lifted: tuple[Command, ...] = ()  # by a resume, of what waited on this machine

    @property
    def holds(self) -> bool:
        """Whether every actuator of this machine has taken note of it, and there is one."""
        return bool(self.reached) and not self.missed


def local(settings: Settings) -> Local:
    """How it stands with this machine; needs no broker."""
    spool = Spool(settings.state_folder, settings.bootstrap_servers)
    workers = present(settings.state_folder, settings.bootstrap_servers)
    return Local(
        folder=settings.state_dir,
        waiting=spool.waiting(),
        unread=spool.unread,
        barred=spool.barred,
        workers=tuple(each for each in workers if not each.told or STAGE in each.stages),
    )


def keep(settings: Settings, command: Command) -> Kept:
    """Spool *command*, and wait until every actuator of this machine has taken note of it.

    A resume withdraws the holds of before that it lifts, but not before it is kept itself.

    Raises:
        OSError: the command could not be kept; nobody knows of it.
    """
    spool = Spool(settings.state_folder, settings.bootstrap_servers)
    spool.put(command)
    lifted: tuple[Command, ...] = ()
    if command.kind is CommandKind.RESUME:
        with suppress(OSError):  # whoever tells both tells the resume last
            lifted = spool.withdraw(command)
    deadline = time.monotonic() + WITHIN
    while True:
        there = local(settings)
        # Where it does not wait any more it was told meanwhile.
        told = not spool.keeps(command)
        missed = tuple(each for each in there.workers if not told and command.id not in each.noted)
        if not missed or time.monotonic() > deadline:
            reached = tuple(each for each in there.workers if each not in missed)
            return Kept(
                command=command,
                folder=there.folder,
                reached=reached,
                missed=missed,
                lifted=lifted,
            )
        time.sleep(LOOK)
