"""Help texts that end with a line to type, and lists of commands that say a whole sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])
LONGEST = 200  # characters of a sentence


def example(*lines: str) -> Callable[[F], F]:
    """Append *lines* to the help of a command, as they are."""

    def append(command: F) -> F:
        # click leaves a paragraph that begins with a backspace character as it is.
        shown = "\n".join(f"      {line}" for line in lines)
        command.__doc__ = f"{command.__doc__}\n\n    \b\n    Example:\n{shown}\n    "
        return command

    return append


class Group(click.Group):
    """A group whose help says of each command what it does, uncut."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, each with the first sentence of its help."""
        found = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, command.get_short_help_str(limit=LONGEST))
                    for name, command in found.items()
                    if command is not None
                ]
            )
