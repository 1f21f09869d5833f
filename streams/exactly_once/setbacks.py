"""When a stage is thrown back so often, or so alike, that taking over again would never end."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from streams.exactly_once.errors import Fenced, NamedTwice, Retake, StepFailed

FENCES = 3
WITHIN = 60.0  # seconds
ALIKE = 10  # times in a row


@dataclass(slots=True)
class Setbacks:
    """What threw one stage of one worker back lately.

    Of two workers of one name that are alive, each fences the other by taking over. The one that
    was started first leaves the name to the newer one: when it is fenced for the third time within
    a minute while that one is in the group. The newer one goes on, however often it is fenced. A
    worker that starts under the name of a dead one is never fenced; a transaction that took too
    long fences its worker, too, but then there is nobody else in the group.

    An error that does not pass by itself, met ten times at the same place, would be met for ever.
    """

    worker: str
    stage: str
    fenced: deque[float] = field(default_factory=deque)  # monotonic seconds
    code: int | None = None
    times: int = 0
    standing: dict[int, int] = field(default_factory=dict)  # partition -> its last sequence

    def note(self, lost: Exception, now: float, sequences: Mapping[int, int]) -> None:
        """Count one.

        Args:
            lost: Why the stage takes over again.
            now: Monotonic seconds.
            sequences: Partition → the number of its last commit, of the tasks that it had.

        Raises:
            NamedTwice: another worker of this name is alive.
            StepFailed: the same error would come for ever.
        """
        if isinstance(lost, Fenced):
            self._fenced(lost, now)
        code = lost.code if isinstance(lost, Retake) and not isinstance(lost, Fenced) else None
        if code is None:
            return
        moved = any(self.standing.get(p, n) != n for p, n in sequences.items())
        self.times = 1 if moved or code != self.code else self.times + 1
        self.code = code
        self.standing = dict(sequences) if moved else self.standing | dict(sequences)
        if self.times >= ALIKE:
            raise StepFailed(f"{lost}; it was so {self.times} times in a row, nothing was written")

    def lasted(self) -> None:
        """A membership has lasted: its end is no repetition."""
        self.code, self.times = None, 0

    def _fenced(self, lost: Fenced, now: float) -> None:
        self.fenced.append(now)
        while now - self.fenced[0] > WITHIN:
            self.fenced.popleft()
        if lost.newer and len(self.fenced) >= FENCES:
            raise NamedTwice(
                f"another worker called {self.worker} is running {self.stage}; "
                "give each its own --name"
            )
