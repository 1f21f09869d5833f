"""Every scope's newest state: applied in order, told to subscribers, kept on disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from llmopt_client.config import Config
from llmopt_client.kafka import log
from llmopt_client.remember import Memory, file_of, load, save
from llmopt_client.scope import ALL, InvalidConfig, ScopeState, parse
from llmopt_client.table import Table

SAVE_AFTER_S = 0.2  # changes come in groups; the disk sees one write for a group


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A scope has another configuration now. `deleted`: it has none of its own any more."""

    scope: str
    revision: int
    epoch: int
    stable: Config | None
    candidate: Config | None
    share: int  # hundredths of a percent of the units that get the candidate
    reason: str
    updated_at: int  # ms since the epoch
    deleted: bool = False
    shadow: int = 0  # hundredths of a percent of the units that are copied to the candidate


class Scopes:
    """What the follower tells becomes the table that applications read.

    While the topic is read from its beginning, changes are told only at its end, so that nobody
    hears of states that are long gone.

    Args:
        folder: Of the last-known-good file, or None.
        app: The application.
        services: Those to keep, or None for all.
        acknowledge: Called after a change is applied.
        instance: Of the application: what is divided where a rollout divides instances.
    """

    def __init__(
        self,
        folder: Path | None,
        app: str,
        services: Iterable[str] | None,
        acknowledge: Callable[[Change], None],
        instance: str = "",
    ) -> None:
        self.whole = threading.Event()
        self._file = None if folder is None else file_of(folder, app)
        self._services = None if services is None else {ALL, *services}
        self._acknowledge = acknowledge
        self._callbacks: tuple[Callable[[Change], object], ...] = ()
        self._counts = dict.fromkeys(
            ("applied", "stale", "unusable", "callback_errors", "troubles"), 0
        )
        memory = (load(self._file) if self._file else None) or Memory()
        self._cluster = memory.cluster
        self._states = dict(memory.states)
        self._reading = True  # from the topic's beginning
        self._remembered = dict(memory.states)  # known before that
        self._topic: dict[str, ScopeState] = {}  # newest of the topic since it began
        self._untold: dict[str, tuple[Change, bool]] = {}
        self._unserved: set[str] = set()
        self._unsaved_since: float | None = None
        self.table = Table(self._states, instance)

    def began(self) -> None:
        """The topic is read from its beginning: what is known stays in force until its end."""
        self._reading = True
        self._remembered = dict(self._states)
        self._topic.clear()

    def heard(self, key: str | None, value: bytes | None) -> None:
        """Apply a record of the config topic; an older or unusable one is counted and left."""
        if value is None:
            if key is not None:
                self._delete(key)
            return
        try:
            state = parse(value)
        except InvalidConfig as error:
            self._counts["unusable"] += 1
            log.warning("The config of %s was not applied: %s.", key, error)
            return
        if self._services is not None and state.scope.split("/", 1)[0] not in self._services:
            return
        if self._reading:
            before = self._topic.get(state.scope)
            if before is None or state.follows(before):
                self._topic[state.scope] = state
        known = self._states.get(state.scope)
        if known is not None and not state.follows(known):
            again = self._reading and state.scope in self._remembered
            self._counts["stale"] += 0 if again else 1
            return
        self._apply(state)

    def caught_up(self, cluster: str | None) -> None:
        """The topic was read whole: what it does not have any more is gone."""
        if self._reading:
            if cluster != self._cluster:
                # another cluster counts its revisions anew: what was known says nothing about them
                for state in self._topic.values():
                    if self._states.get(state.scope) is not state:
                        self._apply(state)
            for scope in self._remembered.keys() - self._topic.keys():
                self._delete(scope)
            self._cluster = cluster
            self._remembered.clear()
            self._topic.clear()
            self._reading = False
            self.whole.set()
        self._tell()

    def paused(self) -> None:
        """A quiet moment: serve what came, save what is due."""
        self._serve()
        since = self._unsaved_since
        if since is not None and time.monotonic() - since >= SAVE_AFTER_S:
            self.save()

    def save(self) -> None:
        """Write the last-known-good file if anything changed since."""
        if self._file is None or self._unsaved_since is None:
            return
        self._unsaved_since = None
        try:
            save(self._file, Memory(self._cluster, self._states))
        except OSError as error:
            self.trouble(error)

    def subscribe(self, callback: Callable[[Change], object]) -> Callable[[], None]:
        """Add a callback; the returned function takes it away."""
        self._callbacks = (*self._callbacks, callback)

        def unsubscribe() -> None:
            self._callbacks = tuple(c for c in self._callbacks if c is not callback)

        return unsubscribe

    def trouble(self, error: Exception) -> None:
        """Count what went wrong without the application noticing."""
        self._counts["troubles"] += 1
        with suppress(Exception):
            log.warning("Configs: %s", error)

    def counts(self) -> dict[str, int]:
        """Records applied, stale or unusable, and what went wrong."""
        return dict(self._counts)

    def _apply(self, state: ScopeState) -> None:
        self._states[state.scope] = state
        self._counts["applied"] += 1
        self._changed(
            Change(
                scope=state.scope,
                revision=state.revision,
                epoch=state.epoch,
                stable=state.stable,
                candidate=state.candidate,
                share=state.share,
                shadow=state.shadow,
                reason=state.reason,
                updated_at=state.updated_at,
                deleted=state.stable is None and state.candidate is None,
            ),
            applied=True,
        )

    def _delete(self, scope: str) -> None:
        self._topic.pop(scope, None)
        state = self._states.pop(scope, None)
        if state is None:
            return
        self._changed(
            Change(
                scope=scope,
                revision=state.revision,
                epoch=state.epoch,
                stable=None,
                candidate=None,
                share=0,
                reason="deleted",
                updated_at=state.updated_at,
                deleted=True,
            ),
            applied=False,
        )

    def _changed(self, change: Change, *, applied: bool) -> None:
        """Note a change to tell; *applied*: of a record, which is acknowledged."""
        self._untold[change.scope] = change, applied
        self._unserved.add(change.scope)
        if self._unsaved_since is None:
            self._unsaved_since = time.monotonic()
        if not self._reading:
            self._tell()

    def _serve(self) -> None:
        """Give readers a table without the plans that the changes made wrong."""
        if self._unserved:
            self.table = self.table.without(self._unserved)
            self._unserved = set()

    def _tell(self) -> None:
        """Acknowledge and call back what changed since the last time."""
        self._serve()
        untold, self._untold = self._untold, {}
        for change, applied in untold.values():
            if applied:
                self._acknowledge(change)
            for callback in self._callbacks:
                try:
                    callback(change)
                except Exception:  # noqa: BLE001  # a subscriber's mistake is its own
                    self._counts["callback_errors"] += 1
                    log.debug("A subscriber failed.", exc_info=True)
