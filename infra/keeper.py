"""Runs one child process and ends it when the program that asked for it is gone.

A stand-alone script of the standard library, started by `infra.process`; it never imports its
package, so it starts in some 20 ms from any directory. Its standard input is a socket to the
parent:

- the parent writes bytes: a signal's number to send to the child, or 0 to release the child from
  the parent's fate;
- the keeper writes lines: `started PID`, `failed WHY`, and last `exited CODE`.

The socket's end of file means that the parent is gone, however it died: the kernel closes it. The
child gets the polite signal, `grace` seconds, and then its whole process group is killed. Should
the keeper itself be killed, the kernel kills the child (Linux). As the only one that reaps the
child, the keeper never signals a recycled pid.
"""

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
RELEASE = 0


def die_with_keeper() -> Callable[[], None] | None:
    """A hook for the child: have the kernel kill it when its parent, the keeper, dies.

    And make what the child leaves behind the keeper's own.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1)

    def hook() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return hook


def spawn(order: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start the child in its own session, its output appended to the log."""
    with Path(order["log"]).open("ab") as log:
        return subprocess.Popen(
            order["command"],
            cwd=order["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            user=order["user"],
            group=order["group"],
            extra_groups=None if order["user"] is None else [],
            # The tie is to the thread that forks; this program has one only.
            preexec_fn=die_with_keeper(),  # noqa: PLW1509
        )


def end(child: subprocess.Popen[bytes], polite: int, grace: float) -> None:
    """Ask the child to end, wait at most *grace* seconds, then kill its group."""
    deadline = time.monotonic() + grace
    child.send_signal(polite)
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def bury() -> None:
    """Kill what the dead child has left: a busy PostgreSQL session outlives its server."""
    while True:
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                if parent == os.getpid():
                    os.kill(int(stat.parent.name), signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def keep(order: dict[str, Any], parent: socket.socket) -> None:
    """Start the child and stay until it has ended."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        child = spawn(order)
    except OSError as error:
        parent.sendall(f"failed {error}\n".encode())
        return
    try:
        parent.sendall(f"started {child.pid}\n".encode())
        obey(parent, child, woken)
    except OSError:
        pass  # the parent went away while it was being told: what follows is what that means
    finally:
        if child.poll() is None:
            end(child, order["signal"], order["grace"])
        bury()
    with suppress(OSError):
        parent.sendall(f"exited {child.returncode}\n".encode())


def obey(parent: socket.socket, child: subprocess.Popen[bytes], woken: int) -> None:
    """Pass signals on until the child ends, or the parent does without having released it."""
    released = False
    watched: list[Any] = [parent, woken]
    while child.poll() is None:
        ready, _, _ = select.select(watched, [], [])
        if woken in ready:
            os.read(woken, 512)
        if parent not in ready:
            continue
        try:
            said = parent.recv(64)
        except ConnectionError:
            said = b""
        if not said and not released:
            return
        if not said:
            watched.remove(parent)
        for byte in said:
            if byte == RELEASE:
                released = True
                parent.sendall(b"released\n")
            else:
                child.send_signal(byte)


def main() -> None:
    """Leave the parent's process tree at once, then keep what was ordered."""
    order = json.loads(sys.argv[1])
    parent = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    keep(order, parent)


if __name__ == "__main__":
    main()
