"""The life of one server process: started, asked, killed, started again on the same data."""

import contextlib
import signal
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from infra import ports
from infra.errors import NotRunning, StartFailed
from infra.process import POLL, Command, Process, Released, end

TAIL = 2_000  # characters of the log that an error shows


class Service(ABC):
    """A server with a data folder of its own, kept as a child process.

    Killed or stopped, it keeps its port and its data, and can be started again. It never outlives
    this process, however that ends, unless it is *detached*.

    Args:
        folder: Where its data, settings and logs live; created when absent.
        detached: Let it go on when this process ends.
    """

    name: ClassVar[str]
    port: int
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, folder: Path, *, detached: bool = False) -> None:
        self.folder = folder.resolve()
        self.detached = detached
        self.process: Process | Released | None = None

    @property
    def pid(self) -> int:
        """The process id of the server itself.

        Raises:
            NotRunning: It was not started, or was stopped.
        """
        if self.process is None:
            raise NotRunning(f"The {self.name} is not running: start it first.")
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.alive()

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
        if not ports.free(self.port):
            raise StartFailed(
                f"Port {self.port} for the {self.name} is taken: free it, or name another one."
            )
        self.process = process = Process(self._command())
        try:
            self._await(process, deadline)
        except BaseException:
            self.kill()
            raise
        if self.detached:
            self.release()
        return self

    def _await(self, process: Process, deadline: float) -> None:
        while not self._answers():
            if not process.alive():
                raise StartFailed(f"The {self.name} ended while starting.\n{self._tail()}")
            if time.monotonic() > deadline:
                raise StartFailed(f"The {self.name} gave no answer in time.\n{self._tail()}")
            time.sleep(POLL)

    def release(self) -> None:
        """Let the running server go on when this process ends."""
        if isinstance(self.process, Process):
            self.process = self.process.release()

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL), and wait until it is gone."""
        self._end(signal.SIGKILL, 10.0)

    def stop(self, timeout: float = 15.0) -> None:
        """Ask it to end; kill it when it has not after *timeout* seconds."""
        self._end(self.stop_signal, timeout)

    def restart(self, timeout: float = 60.0) -> Self:
        """Stop it when it runs, and start it on the same port and data."""
        self.stop()
        return self.start(timeout)

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
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

    def _end(self, number: signal.Signals, timeout: float) -> None:
        if self.process is not None:
            end(self.process, number, timeout)
            self.process = None

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            return self.log.read_text(errors="replace")[-TAIL:]
        return ""
