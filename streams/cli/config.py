"""llmopt config: what applications are served, by hand where a person knows better."""

from __future__ import annotations

import math
from collections.abc import Sequence

import click

from processors.actuate.admit import unusable
from processors.actuate.version import versioned
from schemas.command import Command, CommandKind
from schemas.config import LlmConfig, ScopeConfig
from schemas.rollout import Deployment, Phase
from schemas.scope import covering
from schemas.topics import CONFIG, DEPLOYMENTS
from streams.cli import give, home, show
from streams.cli.failure import USAGE, Failure, not_found
from streams.cli.give import because, someone
from streams.cli.help import example
from streams.cli.report import lines
from streams.commanding import Answer
from streams.declared import declared
from streams.reading import newest, records
from streams.sending import send
from streams.settings import Settings

waiting = click.option(
    "--wait/--no-wait", "wait", default=True, help="Wait until it is served or refused."
)


@click.group()
@example("llmopt config get search/answer")
def config() -> None:
    """See and change what applications are served."""


@config.command()
@click.argument("scope")
@show.as_json
@example("llmopt config get search/answer --json | jq .stable.model")
def get(scope: str, *, machine: bool) -> None:
    """Show the config of SCOPE, else of its service, else of `*`, as an application finds it."""
    settings = home.reached()
    with home.codec(settings) as codec:
        configs = newest(settings, codec, CONFIG)
    for name in covering(scope):
        if name in configs:
            found: ScopeConfig = configs[name].value
            break
    else:
        raise not_found(
            f"No config is set for {scope}: its applications run what they bring along."
        )
    if machine:
        show.document(found)
        return
    show.facts(
        [
            ("scope", found.scope),
            ("revision", f"{found.revision} (epoch {found.epoch})"),
            ("updated", show.moment(found.updated_at)),
            ("stable", None if found.stable is None else _line(found.stable)),
            ("candidate", None if found.candidate is None else _line(found.candidate)),
            ("share", None if found.split is None else show.share(found.split.share)),
            ("rollout", None if found.split is None else found.split.rollout_id),
            ("decision", found.decision_id),
            ("reason", found.reason or None),
        ]
    )


@config.command()
@click.argument("scope")
@show.newest
@show.as_json
@example("llmopt config history search/answer")
def history(scope: str, *, limit: int, machine: bool) -> None:
    """Show what made another config stable in SCOPE, and what took a candidate back."""
    settings = home.reached()
    with home.codec(settings) as codec:
        events = [seen.value for seen in records(settings, codec, DEPLOYMENTS)]
    ended = (Phase.PROMOTED, Phase.ROLLED_BACK)
    found = [e for e in events if isinstance(e, Deployment) and e.scope == scope]
    changes = [e for e in found if e.phase in ended][::-1][:limit]
    if not changes:
        raise not_found(f"The config of {scope} has never been changed.")
    if machine:
        show.document([{"serves": _serves(e), **_plain(e)} for e in changes])
        return
    show.table(
        ("revision", "at", "change", "now serves", "version", "by", "reason"),
        [
            (e.revision, show.moment(e.at), e.phase.value, *_serves(e).values(), e.by, e.reason)
            for e in changes
        ],
        empty="",
    )


@config.command("set")
@click.argument("scope", callback=give.scope)
@click.option("--provider", required=True, help="As the catalog spells it, such as openai.")
@click.option("--model", required=True, help="As the catalog spells it, such as gpt-4o-mini.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="0 to 2.")
@click.option("--top-p", type=click.FloatRange(0, 1), help="0 to 1.")
@click.option("--top-k", type=click.IntRange(1), help="At least 1.")
@click.option("--max-tokens", type=click.IntRange(1), help="Of an answer.")
@click.option("--streaming/--no-streaming", default=None, help="Whether answers are streamed.")
@click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Any other.")
@because
@someone
@waiting
@show.as_json
@example("llmopt config set search/answer --provider openai --model gpt-4o-mini --temperature 0.2")
def set_(
    scope: str,
    *,
    provider: str,
    model: str,
    temperature: float | None,
    top_p: float | None,
    top_k: int | None,
    max_tokens: int | None,
    streaming: bool | None,
    parameters: Sequence[str],
    reason: str,
    by: str | None,
    wait: bool,
    machine: bool,
) -> None:
    """Serve a config to all traffic of SCOPE at once, and end its rollout.

    What is not given stays as the application has it.
    """
    if any(value is not None and math.isnan(value) for value in (temperature, top_p)):
        raise Failure("A setting is not a number: give one.", USAGE)
    wanted = versioned(
        LlmConfig(
            version="",
            provider=provider,
            model=model,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            max_tokens=max_tokens,
            streaming=streaming,
            parameters=dict(map(_pair, parameters)),
        )
    )
    settings = home.reached()
    refusal = unusable(declared(settings).catalog, scope, wanted)
    if refusal is not None:
        raise Failure(refusal)
    command = give.command(CommandKind.SET, scope, reason, by, config=wanted)
    _give(settings, command, wait=wait, machine=machine)


@config.command()
@click.argument("scope", callback=give.scope)
@click.option("--dry-run", is_flag=True, help="Say what would be restored, and do nothing.")
@click.option("--to", "version", help="A version that was stable here; the one before otherwise.")
@because
@someone
@waiting
@show.as_json
@example(
    "llmopt config rollback search/answer --to v-72c2e425f2cb",
    "llmopt config rollback search/answer --dry-run",
)
def rollback(
    scope: str,
    *,
    dry_run: bool,
    version: str | None,
    reason: str,
    by: str | None,
    wait: bool,
    machine: bool,
) -> None:
    """Take the rollout of SCOPE back, or its stable config back to an earlier one."""
    settings = home.reached()
    kind = CommandKind.ROLLBACK
    command = give.command(kind, scope, reason, by, version=version, dry_run=dry_run)
    if not dry_run:
        _give(settings, command, wait=wait, machine=machine)
        return
    with home.codec(settings) as codec:
        answer = give.asked(settings, codec, command)
    if answer.report is None:
        raise Failure(give.unanswered(answer) or "")
    if machine:
        show.document({"command": command, "report": answer.report})
        return
    for line in lines(answer.report):
        click.echo(line)


def _give(settings: Settings, command: Command, *, wait: bool, machine: bool) -> None:
    """Send the command and say what became of it."""
    with home.codec(settings) as codec:
        if not wait:
            send(settings.bootstrap_servers, command)
            answer = Answer(command, None)
        else:
            answer = give.asked(settings, codec, command)
    event = answer.event
    unanswered = give.unanswered(answer)
    if wait and unanswered is not None:
        raise Failure(unanswered)
    if machine:
        show.document({"command": command, "event": event})
    elif event is None:
        click.echo(f"Sent. See `llmopt config get {command.scope}`.")
    else:
        serves = " ".join(str(part) for part in _serves(event).values())
        click.echo(f"{event.scope} is served {serves} (revision {event.revision}). {event.reason}")


def _serves(event: Deployment) -> dict[str, str | None]:
    """What the scope serves after a rollout ended."""
    if event.phase is Phase.PROMOTED:
        return {"model": event.candidate_model, "version": event.candidate_version}
    return {"model": event.stable_model, "version": event.stable_version}


def _plain(event: Deployment) -> dict[str, object]:
    return {
        name: getattr(event, name)
        for name in ("id", "scope", "revision", "at", "phase", "reason", "by", "decision_id")
    }


def _line(wanted: LlmConfig) -> str:
    """One config in a line."""
    names = ("temperature", "top_p", "top_k", "max_tokens", "streaming")
    pairs = [(name, getattr(wanted, name)) for name in names]
    pairs += sorted(wanted.parameters.items())
    said = "".join(f", {name} {value}" for name, value in pairs if value is not None)
    return f"{wanted.provider}/{wanted.model}{said} ({wanted.version})"


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise Failure(f"{text!r} is not a parameter: write NAME=VALUE.", USAGE)
    return name, value
