"""A process of another program that cannot outlive this one, unless it is released."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from infra.errors import StartFailed

KEEPER = Path(__file__).with_name("keeper.py")
RELEASE = b"\0"
POLL = 0.05  # seconds between two looks at a process


@dataclass(frozen=True, slots=True)
class Command:
    """What to run and how to end it.

    Attributes:
        arguments: The program and its arguments.
        folder: Its working directory.
        log: The file that its output is appended to.
        environment: Variables in addition to this process's own.
        stop_signal: What asks it to end in order.
        grace: Seconds between that signal and SIGKILL when the parent dies.
        user: Numeric user and group to run as; None keeps this process's.
    """

    arguments: Sequence[str]
    folder: Path
    log: Path
    environment: Mapping[str, str]
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 3.0
    user: tuple[int, int] | None = None


class Process:
    """A running child, reached through its keeper (see `infra.keeper`).

    Args:
        command: What to run.

    Raises:
        StartFailed: The program could not be started at all.
    """

    def __init__(self, command: Command) -> None:
        order = {
            "command": list(command.arguments),
            "cwd": str(command.folder),
            "log": str(command.log),
            "signal": int(command.stop_signal),
            "grace": command.grace,
            "user": command.user and command.user[0],
            "group": command.user and command.user[1],
        }
        self.exit_code: int | None = None
        self._heard = b""
        self._keeper, theirs = socket.socketpair()
        with theirs:
            subprocess.run(
                [sys.executable, "-I", "-S", str(KEEPER), json.dumps(order)],
                stdin=theirs.fileno(),
                env={**os.environ, **command.environment},
                start_new_session=True,
                check=True,
            )
        word, _, rest = self._line(30.0).partition(" ")
        if word != "started":
            self._keeper.close()
            raise StartFailed(
                f"{command.arguments[0]} could not be started: {rest or 'no keeper'}."
            )
        self.pid = int(rest)

    def alive(self) -> bool:
        """Whether the child still runs."""
        return not self.wait(0.0)

    def send(self, number: signal.Signals) -> None:
        """Send the child a signal; nothing happens when it has ended."""
        if self.exit_code is None:
            try:
                self._keeper.sendall(bytes([number]))
            except OSError:
                self.wait(1.0)

    def wait(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds for the child's end; True when it has ended."""
        if self.exit_code is not None:
            return True
        try:
            line = self._line(timeout)
        except TimeoutError:
            return False
        word, _, rest = line.partition(" ")
        # A keeper that ended without a word was killed, and the child with it.
        self.exit_code = int(rest) if word == "exited" else -signal.SIGKILL
        self._keeper.close()
        return True

    def release(self) -> "Released":
        """Let the child outlive this process; from now on it is reached by what is returned."""
        released = Released.of(self.pid)
        self._keeper.sendall(RELEASE)
        self._line(10.0)
        self._keeper.close()
        return released

    def _line(self, timeout: float) -> str:
        """The keeper's next line; empty when the keeper is gone."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._heard:
            # A timeout of 0 would make the socket non-blocking and raise another error.
            self._keeper.settimeout(max(1e-4, deadline - time.monotonic()))
            try:
                said = self._keeper.recv(4096)
            except ConnectionError:
                said = b""
            if not said:
                return ""
            self._heard += said
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode()


@dataclass(frozen=True, slots=True)
class Released:
    """A process that is nobody's child any more.

    Attributes:
        pid: Its number, which another process may have after its end.
        born: When it was started, which tells the two apart.
    """

    pid: int
    born: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """The process that has *pid* now."""
        return cls(pid, birth(pid) or "")

    def alive(self) -> bool:
        """Whether it still runs."""
        return birth(self.pid) == self.born

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens when it has ended."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds for its end; True when it has ended."""
        deadline = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL)
        return True


def end(process: Process | Released, polite: signal.Signals, timeout: float) -> None:
    """Ask a process to end; kill it when it has not after *timeout* seconds."""
    process.send(polite)
    if not process.wait(timeout):
        process.send(signal.SIGKILL)
        process.wait(timeout)


def birth(pid: int) -> str | None:
    """When the process *pid* was started, as the system words it; None when it is not running.

    Two processes that had the same pid at different times differ in it. A dead process that nobody
    has reaped yet counts as not running.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        said = subprocess.run(
            ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        state, _, started = said.stdout.strip().partition(" ")
        return None if not state or state.startswith("Z") else started.strip()
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in {"Z", "X"} else fields[19]
