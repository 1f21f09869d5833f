"""What another model would give a scope, by what came of all changes that were seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from processors.analyze.stage.policy import AnalyzePolicy
from processors.analyze.stage.served import levels
from processors.analyze.stage.state import Models, Offer, Prices, Served
from processors.analyze.stage.view import Finding, View
from processors.analyze.stage.words import amount, by, called
from processors.analyze.trend import Direction, Good, way
from processors.enrich.price import cost_of
from processors.predict.forecast import Expected
from processors.predict.foresee import expected, foresee
from processors.predict.history import Memory, Outcome, Proposal, Setting
from processors.predict.learn import learn
from processors.predict.scales import SCALES
from schemas.config import LlmConfig
from schemas.insight import InsightKind
from schemas.window import Price

KIND = InsightKind.PREDICTION


def offered(
    policy: AnalyzePolicy, offers: Mapping[str, Offer], found: Sequence[Served], at: int
) -> Mapping[str, Offer]:
    """The models that the scopes of the partition have used; written anew once a day at most."""
    after = dict(offers)
    for each in found:
        name, before = name_of(each), offers.get(name_of(each))
        told = Offer(each.provider, each.model, at, each.price)
        if before is None or before.price != told.price or at - before.at >= policy.again_ms:
            after[name] = told
    if after == offers:
        return offers
    newest = sorted(after, key=lambda name: (-after[name].at, name))[: policy.offers]
    return {name: after[name] for name in sorted(newest)}


def learnt(
    policy: AnalyzePolicy, memory: Memory, scope: str, models: Models, found: Sequence[Served]
) -> tuple[Memory, Models]:
    """Where two models have served the same hour, the change from one to the other had an outcome.

    The one of most requests is what was before. The same change in the same scope counts once a
    day, so that a long rollout is not many outcomes.
    """
    counted = [each for each in found if each.requests >= policy.served]
    if len(counted) < 2:
        return memory, models
    main, at = counted[0], counted[0].at
    recent = {k: then for k, then in models.learnt.items() if at - then < policy.again_ms}
    for other in counted[1:]:
        name = f"{name_of(main)} {name_of(other)}"
        if name in recent:
            continue
        recent[name] = at
        change = _change(scope, at, main, other.provider, other.model, other.price)
        outcome = Outcome(proposal=change, reached=levels(other))
        memory = learn(policy.predicting, memory, outcome)
    return memory, replace(models, learnt=recent)


def predictions(
    view: View, models: Models, offers: Mapping[str, Offer], memory: Memory
) -> list[Finding]:
    """Latency, cost, quality and errors with each of the other models, the newest offers first.

    By `predict.foresee`: what similar changes came to, in this scope and in others, and the list
    price on this scope's own mix of tokens.
    """
    newest = [each for each in models.served if each.at == models.served[0].at]
    main = max(newest, key=lambda each: (each.requests, name_of(each)))
    if main.requests < view.policy.served:
        return []
    others = [offers[name] for name in offers if name != name_of(main)]
    others.sort(key=lambda each: (-each.at, each.provider, each.model))
    found = []
    for offer in others[: view.policy.candidates]:
        change = _change(view.scope, view.end, main, offer.provider, offer.model, offer.price)
        for metric in SCALES:
            seen = foresee(view.policy.predicting, memory, change, metric)
            if seen is not None:
                told = expected(view.policy.predicting, memory, change, metric, seen)
                found.append(_finding(view, metric, f"{offer.provider}/{offer.model}", told, main))
    return found


def name_of(served: Served) -> str:
    """As the catalog names the model."""
    return f"{served.provider}/{served.model}"


def _change(
    scope: str, at: int, main: Served, provider: str, model: str, price: Prices | None
) -> Proposal:
    return Proposal(
        scope=scope,
        at=at,
        before=_setting(main.provider, main.model, main.price, main.tokens),
        after=_setting(provider, model, price, main.tokens),
        current=levels(main),
    )


def _setting(provider: str, model: str, price: Prices | None, tokens: tuple[float, ...]) -> Setting:
    config = LlmConfig(version="", provider=provider, model=model)
    if price is None:
        return Setting(config=config)
    unit = Price(
        input_per_mtok=price[0], output_per_mtok=price[1], cached_per_mtok=price[2], source=""
    )
    return Setting(config=config, cost=cost_of(unit, *tokens))


def _finding(view: View, metric: str, name: str, told: Expected, main: Served) -> Finding:
    good = Good.UP if SCALES[metric].better > 0 else Good.DOWN
    certain = not told.low <= told.current <= told.high
    direction = way(good, higher=told.low > told.current) if certain else Direction.INCONCLUSIVE
    relative = (told.predicted - told.current) / told.current if told.current else None
    sentence = (
        f"With {name} the {called(metric)} would be {amount(metric, told.predicted)}, between "
        f"{amount(metric, told.low)} and {amount(metric, told.high)}; with {name_of(main)} it is "
        f"{amount(metric, told.current)}{by(relative)}."
    )
    insight = view.insight(
        KIND,
        metric,
        name,
        value=told.predicted,
        reference=told.current,
        method="ensemble",
        sentence=sentence,
        start=main.at,
        direction=direction.value,
        low=told.low,
        high=told.high,
        confidence=told.confidence,
        subject=name,
        samples=main.requests,
    )
    return Finding(KIND, metric, name, (insight,), told.high - told.low)
