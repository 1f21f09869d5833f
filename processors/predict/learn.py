"""What an outcome teaches."""

from __future__ import annotations

from dataclasses import replace

from processors.predict.foresee import foresee
from processors.predict.history import Memory, Outcome, PredictPolicy, Tally
from processors.predict.scales import SCALES


def learn(policy: PredictPolicy, memory: Memory, outcome: Outcome) -> Memory:
    """Score what would have been predicted, by method and together; then remember the outcome.

    What is scored was made without the outcome, so that weights and ranges are of errors out of
    sample (prequential: Dawid, JRSSA 1984). Give the outcomes in the order in which the changes
    were made.
    """
    tallies, scores = dict(memory.tallies), dict(memory.scores)
    for metric, level in outcome.reached.items():
        seen = foresee(policy, memory, outcome.proposal, metric)
        if seen is None:
            continue
        reached = SCALES[metric].on(level).value
        for method, guess in seen.guesses.items():
            name = f"{metric}/{method}"
            tally = tallies.get(name, Tally())
            tallies[name] = Tally(
                policy.fading * tally.count + 1,
                policy.fading * tally.squares + (reached - guess.mean) ** 2,
            )
        score = abs(reached - seen.together.mean) / seen.together.sd
        scores[metric] = (*scores.get(metric, ()), score)[-policy.scored :]
    outcomes = (*memory.outcomes, outcome)[-policy.kept :]
    return replace(memory, outcomes=outcomes, tallies=tallies, scores=scores)
