"""The life of one server process: started, asked, killed, started again on the same data."""

import contextlib
import os
import signal
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from infra.errors import NotRunning, StartFailed
from infra.process import Command, Process, birth

POLL = 0.05  # seconds between two looks at a starting process
TAIL = 2_000  # characters of the log that an error shows


class Service(ABC):
    """A server with a data folder of its own, kept as a child process.

    Killed or stopped, it keeps its port and its data, and can be started again. It never outlives this process,
    however that ends, unless it is *detached*.

    Args:
        folder: Where its data, settings and logs live; created when absent.
        detached: Let it go on when this process ends.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, folder: Path, *, detached: bool = False) -> None:
        self.folder = folder.resolve()
        self.detached = detached
        self._process: Process | None = None
        self._born: str | None = None

    @property
    def pid(self) -> int:
        """The process id of the server itself.

        Raises:
            NotRunning: It was not started, or was stopped.
        """
        if self._process is None:
            raise NotRunning(f"The {self.name} is not running: start it first.")
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        if self._process is None:
            return False
        if self.detached:
            return birth(self._process.pid) == self._born
        return self._process.alive()

    def start(self, timeout: float = 60.0) -> Self:
        """Start it and wait until it answers; nothing happens when it runs already.

        Args:
            timeout: Seconds that all of this may take.

        Raises:
            StartFailed: It ended, or did not answer in time.
        """
        if self.alive:
            return self
        deadline = time.monotonic() + timeout
        self.folder.mkdir(parents=True, exist_ok=True)
        self._prepare()
        self._process = process = Process(self._command())
        try:
            while not self._answers():
                if not process.alive():
                    raise StartFailed(f"The {self.name} ended while starting.\n{self._tail()}")
                if time.monotonic() > deadline:
                    raise StartFailed(f"The {self.name} gave no answer in {timeout:g} s.\n{self._tail()}")
                time.sleep(POLL)
            self._started()
            if self.detached:
                self._born = birth(process.pid)
                process.release()
        except BaseException:
            self._process = None
            process.send(signal.SIGKILL)
            process.wait(10.0)
            raise
        return self

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL), and wait until it is gone."""
        self._end(signal.SIGKILL, 10.0)

    def stop(self, timeout: float = 15.0) -> None:
        """Ask it to end; kill it when it has not after *timeout* seconds."""
        if not self._end(self.stop_signal, timeout):
            self.kill()

    def restart(self, timeout: float = 60.0) -> Self:
        """Stop it when it runs, and start it on the same port and data."""
        self.stop()
        return self.start(timeout)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def log(self) -> Path:
        """The file with its output."""
        return self.folder / f"{self.name}.log"

    @abstractmethod
    def _prepare(self) -> None:
        """Make the data folder ready: format it on the first start, write the settings."""

    @abstractmethod
    def _command(self) -> Command:
        """What to run."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it answers a real request; quick, and quiet when it does not."""

    def _started(self) -> None:  # noqa: B027 - most have nothing left to do
        """What is left to do once it answers."""

    def _end(self, number: signal.Signals, timeout: float) -> bool:
        process = self._process
        if process is None:
            return True
        if self.detached:
            ended = end(process.pid, self._born, number, timeout)
        else:
            process.send(number)
            ended = process.wait(timeout)
        if ended:
            self._process = None
        return ended

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            return self.log.read_text(errors="replace")[-TAIL:]
        return ""


def end(pid: int, born: str | None, number: signal.Signals, timeout: float) -> bool:
    """Send *number* to the process *pid* if it is still the one that was *born* then.

    Returns:
        Whether it has ended within *timeout* seconds.
    """
    deadline = time.monotonic() + timeout
    if born is None or birth(pid) != born:
        return True
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
    while birth(pid) == born:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True
