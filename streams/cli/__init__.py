"""The `llmopt` command: what an operator sees and does, one file a group of commands."""

from __future__ import annotations

import importlib
import sys

import click

from streams import early
from streams.cli.failure import answer, asked, explained
from streams.cli.help import example

COMMANDS = {  # name -> where it is, imported when it is asked for, and what it does
    "alarms": ("alarms", "See what triggers found, and answer what they ask."),
    "anomalies": (
        "anomalies",
        "List the values that their own past does not explain, by incident, newest first.",
    ),
    "baseline": ("baseline", "Make the last week of SCOPE what its hours are compared with."),
    "catalog": (
        "catalog",
        "Declare models, prices, objectives, rules, constraints, strategies, triggers and more.",
    ),
    "changepoints": ("changepoints", "Find where series changed, in a file."),
    "compare": ("compare", "Compare two files, column by column."),
    "config": ("config", "See and change what applications are served."),
    "decisions": ("decisions", "See what was decided, and why."),
    "deployments": ("deployments", "See rollouts, step by step; promote or abort them."),
    "detect": ("detect", "Find values that their past does not explain, in a file."),
    "dev": ("dev", "Run Kafka, a schema registry and Postgres on this machine."),
    "dlq": ("dlq", "See what could not be used, and send it again."),
    "insights": ("insights", "See where scopes go, changed, will be, and how they compare."),
    "pause": ("control", "Hold rollouts where they are."),
    "replay": ("replay", "Run recorded commits again and compare what they write."),
    "reset": ("reset", "Make a stage start again from its input."),
    "resume": ("control", "Let paused or stopped rollouts go on."),
    "status": ("status", "See stages, lag, rollouts and dead letters at a glance."),
    "stop": ("control", "Emergency stop: every rollout back to stable, then only observe."),
    "topics": ("topics", "Create, list and compare the topics."),
    "trend": ("trend", "Tell which way series go, and where they will be, in a file."),
    "windows": ("windows", "See what happened, window by window."),
    "worker": ("worker", "Run stages until told to stop."),
}


class Commands(click.Group):
    """A group that imports a command when it is needed, and says what failed in one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, sorted."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command called *cmd_name*; None when there is none."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        if sys.argv[1:2] == ["worker"]:  # this process is to be one
            early.listen()  # its modules take a second to import
        module = importlib.import_module(f"streams.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Split *args* into the command's name and its own words."""
        asked(ctx, args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; errors that are not defects become a sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            answer(ctx, error)
            raise
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            known = explained(error)
            if known is None:
                raise
            answer(ctx, known)
            raise known from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="llm-auto-optimizer", prog_name="llmopt")
@example(
    "llmopt dev up",
    "llmopt catalog apply infra/catalog/default.yaml",
    "llmopt worker",
    "llmopt status",
)
def main() -> None:
    """See and steer the LLM Auto-Optimizer.

    Every command takes --json for one JSON document on standard output; that of a failure has
    `error` and `exit`. Exit codes: 0 done, 1 refused or failed, 2 wrong usage or setting, 3 not
    found or not as declared, 4 a replay that differs, 5 one that cannot be compared.
    """
