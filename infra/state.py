"""The file that remembers what `up` has started."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from signal import Signals

from infra.process import Released, end

DEV = Path(__file__).parents[1] / ".local" / "dev"
STATE = "environment.json"


@dataclass(frozen=True, slots=True)
class Started:
    """One process that was left running.

    Attributes:
        name: Which part it is.
        pid: Its process id.
        born: When it was started, since a pid is used again.
        signal: What asks it to end in order.
    """

    name: str
    pid: int
    born: str
    signal: int

    @property
    def process(self) -> Released:
        """The process itself."""
        return Released(self.pid, self.born)


@dataclass(frozen=True, slots=True)
class Running:
    """An environment that was left running.

    Attributes:
        variables: What tells a program where everything is.
        processes: What has to be ended, in the order of starting.
    """

    variables: dict[str, str]
    processes: tuple[Started, ...]

    def env(self) -> dict[str, str]:
        """The variables that tell a program where everything is."""
        return dict(self.variables)

    def alive(self) -> bool:
        """Whether every process of it still runs."""
        return all(started.process.alive() for started in self.processes)

    def end(self, timeout: float = 15.0) -> None:
        """End what still runs of it, last started first."""
        for started in reversed(self.processes):
            end(started.process, Signals(started.signal), timeout)

    def write(self, file: Path) -> None:
        """Keep it in a file that only its owner can read: it holds the database's password."""
        partial = file.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        # One variable a line: the shell wrappers of the Kafka tools read it with sed.
        partial.write_text(json.dumps(asdict(self), indent=2) + "\n")
        partial.rename(file)


def read(file: Path) -> Running | None:
    """What a file remembers; None when there is none."""
    try:
        kept = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    return Running(kept["variables"], tuple(Started(**started) for started in kept["processes"]))


def running(folder: Path = DEV) -> Running | None:
    """The environment that `up` has left running; None when it is not, or not whole."""
    kept = read(folder / STATE)
    return kept if kept is not None and kept.alive() else None
