"""llmopt config: what applications are served, by hand where a person knows better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import click

from processors.actuate.admit import unusable
from processors.actuate.version import versioned
from schemas.command import Command, CommandKind
from schemas.config import LlmConfig, ScopeConfig
from schemas.rollout import Deployment, Phase
from schemas.scope import ALL, covering, slip
from schemas.shape import alike
from schemas.topics import CONFIG, DEPLOYMENTS
from streams.cli import give, home, show
from streams.cli.failure import USAGE, Failure, not_found
from streams.cli.give import because, someone
from streams.cli.help import Group, example
from streams.cli.report import lines
from streams.clock import now_ms
from streams.commanding import Answer
from streams.declared import declared
from streams.reading import newest, records
from streams.scopes import familiar
from streams.sending import send
from streams.settings import Settings

waiting = click.option(
    "--wait/--no-wait", "wait", default=True, help="Wait until it is served or refused."
)
TOLD = ("id", "scope", "revision", "at", "phase", "reason", "by", "decision_id")  # of a change
FIRST = "What served before the first change that is kept."


@click.group(cls=Group)
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
    found = serving(scope, {name: seen.value for name, seen in configs.items()})
    if found is None:
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


def serving(scope: str, configs: Mapping[str, ScopeConfig]) -> ScopeConfig | None:
    """The config that serves *scope*: its own, its service's or that of `*`; None if none does."""
    found = (configs[name] for name in covering(scope) if name in configs)
    return next((each for each in found if each.stable or each.candidate), None)


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
    told = [e for e in found if e.phase in ended][::-1]
    if not told:
        raise not_found(f"The config of {scope} has never been changed.")
    changes, first = told[:limit], told[-1]
    known = first.stable_version is not None and len(told) < limit
    if machine:
        shown = [{"serves": _serves(e), **_plain(e)} for e in changes]
        show.document([*shown, *([_before(first)] if known else [])])
        return
    rows: list[tuple[object, ...]] = [
        (e.revision, show.moment(e.at), _change(e), *_serves(e).values(), e.by, e.reason)
        for e in changes
    ]
    if known:
        served = (first.stable_model, first.stable_version)
        rows.append((None, None, "before", *served, None, FIRST))
    show.table(
        ("revision", "at", "change", "now serves", "version", "by", "reason"), rows, empty=""
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
@click.option("--new", is_flag=True, help="Also where no application has reported from yet.")
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
    new: bool,
    reason: str,
    by: str | None,
    wait: bool,
    machine: bool,
) -> None:
    """Serve a config to all traffic of SCOPE at once, and end its rollout.

    What is not given stays as the application has it. A SCOPE without a config, from which no
    application has reported within the last hour, is perhaps mistyped and needs --new.
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
    _recognize(settings, scope, new=new)
    command = give.command(CommandKind.SET, scope, reason, by, config=wanted)
    _give(settings, command, wait=wait, machine=machine)


def _recognize(settings: Settings, scope: str, *, new: bool) -> None:
    """Refuse a scope that nobody knows, unless it is meant to be new and may be one.

    Raises:
        Failure: The sentence says which is like it.
    """
    why = slip(scope)
    if new and why is None:
        return
    with home.codec(settings) as codec:
        there, others = familiar(settings, codec, scope, now_ms())
    if there:
        return
    if why is not None:
        raise Failure(f"{scope!r} is no scope: {why}. Write service/endpoint.", USAGE)
    raise Failure(
        f"No application has reported from {scope} within the last hour, and it has no config; "
        f"{alike(scope, others)}. Nothing is set: add --new if it is meant so."
    )


@config.command()
@click.argument("scope", callback=give.scope)
@because
@someone
@waiting
@show.as_json
@example('llmopt config unset search/answer --reason "mistyped"')
def unset(scope: str, *, reason: str, by: str | None, wait: bool, machine: bool) -> None:
    """Remove the config of SCOPE, and end its rollout.

    Its applications are then served the config of the service or of `*`, and where there is none
    they run what they bring along.
    """
    settings = home.reached()
    command = give.command(CommandKind.UNSET, scope, reason, by)
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
    """Take the rollout of SCOPE back, or its stable config back to an earlier one.

    `*` does that in all scopes, each as it stands.
    """
    settings = home.reached()
    kind = CommandKind.ROLLBACK
    command = give.command(kind, scope, reason, by, version=version, dry_run=dry_run)
    if scope == ALL and (wait or dry_run):
        _everywhere(settings, command, machine=machine)
        return
    if not dry_run:
        _give(settings, command, wait=wait, machine=machine)
        return
    with home.codec(settings) as codec:
        answer = give.asked(settings, codec, command)
    if answer.report is None:
        raise give.nobody(answer)
    if machine:
        show.document({"command": command, "report": answer.report})
        return
    for line in lines(answer.report):
        click.echo(line)


def _everywhere(settings: Settings, command: Command, *, machine: bool) -> None:
    """Send a rollback of all scopes, and say in which it has done, or would do, anything."""
    with home.codec(settings) as codec:
        told = give.asked_all(settings, codec, command)
    if machine:
        show.document({"command": command, "reports" if command.dry_run else "events": told})
        return
    for each in told:
        click.echo(_line_of(each) if isinstance(each, Deployment) else next(lines(each)))
    if not told:
        click.echo("No scope has anything to take back.")
    elif command.dry_run:
        click.echo("Nothing was done: this is a simulation.")


def _give(settings: Settings, command: Command, *, wait: bool, machine: bool) -> None:
    """Send the command and say what became of it."""
    with home.codec(settings) as codec:
        if not wait:
            send(settings.bootstrap_servers, command)
            answer = Answer(command, None)
        else:
            answer = give.asked(settings, codec, command)
        unset = command.kind is CommandKind.UNSET and answer.event is not None
        configs = newest(settings, codec, CONFIG) if unset and not machine else {}
    event = answer.event
    if wait and not answer.obeyed:
        raise give.nobody(answer)
    if machine:
        show.document({"command": command, "event": event})
    elif event is None:
        click.echo(f"Sent. See `llmopt config get {command.scope}`.")
    elif unset:
        wider = serving(event.scope, {n: s.value for n, s in configs.items() if n != event.scope})
        now = "its applications run what they bring along"
        now = now if wider is None else f"the config of {wider.scope} serves it"
        said = f"{event.scope} has no config of its own any more (revision {event.revision})"
        click.echo(f"{said}: {now}. {event.reason}")
    else:
        click.echo(_line_of(event))


def _line_of(event: Deployment) -> str:
    """What a scope serves after a change of it, in a line."""
    serves = " ".join(str(part) for part in _serves(event).values())
    return f"{event.scope} is served {serves} (revision {event.revision}). {event.reason}"


def _serves(event: Deployment) -> dict[str, str | None]:
    """What the scope serves after a rollout ended."""
    if event.phase is Phase.PROMOTED:
        return {"model": event.candidate_model, "version": event.candidate_version}
    return {"model": event.stable_model, "version": event.stable_version}


def _change(event: Deployment) -> str:
    """What a change was, in a word."""
    if event.phase is Phase.PROMOTED:
        return "promoted"
    return "rolled back" if event.stable_version is not None else "unset"


def _plain(event: Deployment) -> dict[str, object]:
    return {name: getattr(event, name) for name in TOLD}


def _before(first: Deployment) -> dict[str, object]:
    """What served before the *first* change, for programs; nobody knows since when."""
    serves = {"model": first.stable_model, "version": first.stable_version}
    return {"serves": serves, **dict.fromkeys(TOLD), "scope": first.scope, "reason": FIRST}


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
