"""What commands about a file of somebody's take, and how they say what they did to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from streams.cli.cells import Floats
from streams.cli.failure import Failure, warn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

F = TypeVar("F", bound=Callable[..., object])

FILE = click.Path(dir_okay=False, path_type=Path)
UNITS = (("day", 86_400.0), ("hour", 3_600.0), ("minute", 60.0), ("second", 1.0))
FEW_UNITS = 3.0  # of a unit, before a longer one is taken


def columns(command: F) -> F:
    """Give *command* the option --column, as the argument `wanted`."""
    return click.option(
        "--column",
        "wanted",
        metavar="NAME",
        multiple=True,
        help="A column to take, as often as you like; all that are numbers if none is named.",
    )(command)


def direction(command: F) -> F:
    """Give *command* the option --good, as the argument `good`."""
    return click.option(
        "--good",
        type=click.Choice(["up", "down"]),
        help="Which way is good; by the names of the columns if not given.",
    )(command)


def plotted(command: F) -> F:
    """Give *command* the option --plot, as the argument `plot`."""
    return click.option(
        "--plot",
        metavar="FILE",
        type=click.Path(dir_okay=False, writable=True, path_type=Path),
        callback=_drawable,
        help="Draw it as a picture, a PNG.",
    )(command)


def _drawable(context: click.Context, parameter: click.Parameter, file: Path | None) -> Path | None:
    """Refuse a file that no picture can be written to, before anything is read."""
    del context, parameter
    if file is not None and file.suffix.lower() != ".png":
        raise click.BadParameter(f"{str(file)!r} does not end in .png.")
    if file is not None and not file.absolute().parent.is_dir():
        raise click.BadParameter(f"There is no folder {file.parent}.")
    return file


def save(figure: Figure, file: Path) -> None:
    """Write a picture; the same bytes for the same picture."""
    try:
        figure.savefig(file, format="png", metadata={"Software": None})
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror}.") from error


def say(file: str, repairs: Iterable[str]) -> None:
    """Tell on standard error what was not as it should be."""
    warn(f"{file}: {repair}." for repair in repairs)


def unit_of(times: Floats, *, dated: bool, counted: bool) -> tuple[str, float]:
    """What slopes are told per, and how much of the times' own unit that is.

    Args:
        times: Rising.
        dated: They are seconds since the epoch.
        counted: They are numbers of rows.
    """
    if not dated:
        return ("row" if counted else "unit of time", 1.0)
    length = float(times[-1] - times[0])
    return next((u for u in UNITS if length >= FEW_UNITS * u[1]), UNITS[-1])


def lasting(seconds: float) -> str:
    """A length of time as people say it.

    >>> lasting(86_400.0), lasting(5_400.0), lasting(0.5)
    ('1 day', '1.5 hours', '0.5 seconds')
    """
    name, size = next((u for u in UNITS if seconds >= u[1]), UNITS[-1])
    count = seconds / size
    return f"{count:.3g} {name}" + ("" if count == 1.0 else "s")
