"""Clocks of processes that jump while they run, as when somebody sets that of their machine."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


class Clocks:
    """Each process that is started with `env` has a clock of its own.

    Args:
        folder: For the library and the clocks; created.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library = folder / "clock.so"
        folder.mkdir()
        compiler = shutil.which("cc")
        assert compiler is not None, "a C compiler is needed: install gcc or clang"
        subprocess.run(
            [compiler, "-O2", "-shared", "-fPIC", "-o", self.library, SOURCE, "-ldl"], check=True
        )

    @property
    def env(self) -> Mapping[str, str]:
        """What a process must find in its environment."""
        return {"LD_PRELOAD": str(self.library), "CHAOS_CLOCKS": str(self.folder)}

    def set(self, pid: int, seconds: float) -> bool:
        """Move the clock of a process off the machine's; False when it has none yet."""
        file = self.folder / str(pid)
        if not file.exists() or not file.stat().st_size:
            return False
        with file.open("r+b") as clock:
            clock.write(struct.pack("=q", round(seconds * 1e9)))
        return True
