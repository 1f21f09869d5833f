"""Help texts that end with a line to type."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object])


def example(*lines: str) -> Callable[[F], F]:
    """Append *lines* to the help of a command, as they are."""

    def append(command: F) -> F:
        # click leaves a paragraph that begins with a backspace character as it is.
        shown = "\n".join(f"      {line}" for line in lines)
        command.__doc__ = f"{command.__doc__}\n\n    \b\n    Example:\n{shown}\n    "
        return command

    return append
