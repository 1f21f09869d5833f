"""What the demo promises, each judged from evidence; no evidence is a broken promise."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise, whether it was kept, and a sentence with the figures."""

    name: str
    kept: bool
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one rollout ended, or stands."""

    id: str
    scope: str
    phase: str  # promoted, rolled_back; held, when it waits for evidence
    stable_model: str
    candidate_model: str
    reason: str
    failed: tuple[str, ...]  # the guardrails that took it back: errors, latency, cost, quality
    minutes: float  # from its first step
    share: int  # that the candidate serves then, hundredths of a percent
    requests: int  # of the candidate that were compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A rollout that was drawn."""

    id: str
    file: str
    width: int | None  # pixels; None: it is no PNG
    looks: int  # that it shows
    crossed: bool  # the last of them has a guardrail at its limit, and none before has


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What the fleet says it sent, by kind; messages."""

    metrics: int  # duplicates included
    duplicates: int
    quality: int
    garbage: int
    cost_usd: float  # what the fleet's requests cost
    default_usd: float  # what the same tokens would have cost at the first models

    @property
    def messages(self) -> int:
        """All of them."""
        return self.metrics + self.quality + self.garbage


@dataclass(frozen=True, slots=True)
class Held:
    """What a table holds of what is on its topic."""

    records: int  # of different keys, on the topic
    wrong: Sequence[str] = ()  # a sentence for each row that is not what its record says


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of running the journal again."""

    commits: Mapping[str, int]  # stage -> commits that two replays gave byte by byte
    difference: str | None  # that one of them found, or between them
    change: str  # one byte of the catalog, for another replay
    otherwise: str | None  # the first commit that differs with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that the promises are judged from; None where nothing was found."""

    sent: Sent | None
    counts: Mapping[str, int]  # of collect's journal
    dropped: int  # events that merge found too late, though collect had summed them
    endings: Sequence[Ending]
    worse: Mapping[str, Collection[str]]  # scope -> models whose answers are truly worse there
    thin: Collection[str]  # scopes with too few requests for any verdict
    picture: Picture | None  # of a bad candidate
    killed_pid: int | None
    commits_after_kill: Mapping[int, int]  # of collect's partitions that the killed worker had
    windows_compared: int
    windows_wrong: Sequence[str]  # record ids
    revisions: Mapping[str, Sequence[int]]  # scope -> revisions in the order of the topic
    stored: Mapping[str, Held]  # by table
    replayed: Replayed


def judge(evidence: Evidence) -> list[Promise]:
    """Every promise, in the order in which the demo tells them."""
    return [
        moved(evidence.endings, evidence.worse, evidence.sent),
        taken_back(evidence.endings, evidence.worse),
        waited(evidence.endings, evidence.thin),
        drawn(evidence.endings, evidence.picture),
        survived(evidence.killed_pid, evidence.commits_after_kill),
        accounted(evidence.sent, evidence.counts, evidence.dropped),
        exact(evidence.windows_compared, evidence.windows_wrong),
        monotone(evidence.revisions),
        stored(evidence.stored),
        repeatable(evidence.replayed),
    ]


def moved(
    endings: Sequence[Ending], worse: Mapping[str, Collection[str]], sent: Sent | None
) -> Promise:
    """At least two scopes serve a cheaper model now that is no worse there, and it saved money."""
    name = "moved to a cheaper model"
    won = sorted(
        {
            each.scope
            for each in endings
            if each.phase == "promoted"
            and each.candidate_model != each.stable_model
            and each.candidate_model not in worse.get(each.scope, ())
        }
    )
    if sent is None or sent.default_usd <= 0:
        return Promise(
            name,
            kept=False,
            sentence="the fleet did not say what it cost, or some of its reports never arrived",
        )
    saved = sent.default_usd - sent.cost_usd
    share = saved / sent.default_usd
    sentence = f"{len(won)} scopes ({', '.join(won) or 'none'}), ${saved:,.2f} saved ({share:.0%})"
    return Promise(name, kept=len(won) >= 2 and saved > 0, sentence=sentence)


def taken_back(endings: Sequence[Ending], worse: Mapping[str, Collection[str]]) -> Promise:
    """A candidate that is truly worse was taken back for its quality, and none of them won."""
    name = "took a bad candidate back"
    bad = [each for each in endings if each.candidate_model in worse.get(each.scope, ())]
    won = [each for each in bad if each.phase == "promoted"]
    if won:
        told = f"{won[0].scope} was moved to {won[0].candidate_model}, which is worse there"
        return Promise(name, kept=False, sentence=told)
    lost = [each for each in bad if each.phase == "rolled_back" and "quality" in each.failed]
    told = "; ".join(f"{each.scope}: {each.candidate_model}" for each in lost)
    return Promise(name, bool(lost), told or "no worse candidate was taken back for its quality")


def waited(endings: Sequence[Ending], thin: Collection[str]) -> Promise:
    """Where too little is asked to know, a candidate was tried, and held at its first share."""
    name = "held what nobody could judge"
    tried = [each for each in endings if each.scope in thin]
    rash = [each for each in tried if each.phase != "held"]
    if rash:
        told = f"{rash[0].scope} was {rash[0].phase} after {rash[0].requests} requests"
        return Promise(name, kept=False, sentence=told)
    if not tried:
        told = f"nothing was tried in {', '.join(sorted(thin)) or 'any scope with little traffic'}"
        return Promise(name, kept=False, sentence=told)
    told = "; ".join(
        f"{each.scope}: {each.requests} requests in {each.minutes:.0f} min at "
        f"{each.share / 100:g} %. {each.reason.partition('. ')[0]}"
        for each in tried
    )
    return Promise(name, all(0 < each.share <= 100 for each in tried), told)


def drawn(endings: Sequence[Ending], picture: Picture | None) -> Promise:
    """A rollback can be looked at: every look that led to it, up to the limit, as a picture."""
    name = "drew the rollback"
    if picture is None:
        return Promise(name, kept=False, sentence="there was no rollback to draw")
    back = {each.id for each in endings if each.phase == "rolled_back" and each.failed}
    told = f"{picture.file}: {picture.looks} looks of {picture.id}"
    if picture.id not in back or picture.width is None:
        return Promise(name, kept=False, sentence=f"{told}, which is no picture of a rollback")
    if not picture.crossed:
        return Promise(name, kept=False, sentence=f"{told}, whose last is not the first at a limit")
    return Promise(name, picture.looks > 0 and picture.width >= 1_200, told)


def survived(pid: int | None, commits: Mapping[int, int]) -> Promise:
    """A worker was killed, and each of its partitions was served again."""
    name = "survived a killed worker"
    if pid is None or not commits:
        return Promise(name, kept=False, sentence="no worker that had partitions was killed")
    sentence = (
        f"process {pid} was killed; its {len(commits)} partitions of collect had "
        f"{sum(commits.values()):,} commits since"
    )
    idle = sorted(partition for partition, n in commits.items() if not n)
    if idle:
        sentence += f", but none of partition {idle[0]}"
    return Promise(name, not idle, sentence)


def accounted(sent: Sent | None, counts: Mapping[str, int], dropped: int) -> Promise:
    """Everything sent was read once and became exactly one thing."""
    name = "every event accounted for"
    if sent is None:
        told = "the fleet did not say what it sent, or some of that never arrived"
        return Promise(name, kept=False, sentence=told)
    if not counts:
        return Promise(name, kept=False, sentence="nothing was counted")
    read = counts.get("read", 0)
    became = {
        kind: counts.get(kind, 0) for kind in ("aggregated", "late", "duplicates", "dead_lettered")
    }
    told = f"{read:,} read = " + " + ".join(f"{n:,} {kind}" for kind, n in became.items())
    if read != sent.messages:
        return Promise(name, kept=False, sentence=f"{sent.messages:,} sent, but {told}")
    if dropped:
        return Promise(name, kept=False, sentence=f"{told}; {dropped:,} of them in no window")
    if became["duplicates"] != sent.duplicates or became["dead_lettered"] != sent.garbage:
        return Promise(
            name,
            kept=False,
            sentence=f"{told}; sent were {sent.duplicates:,} twice and {sent.garbage:,} broken",
        )
    return Promise(name, read == sum(became.values()), told)


def exact(compared: int, wrong: Sequence[str]) -> Promise:
    """Windows equal a batch recomputation from the same events."""
    name = "windows equal a batch recomputation"
    if not compared:
        return Promise(name, kept=False, sentence="no window was compared")
    if wrong:
        sentence = f"{len(wrong):,} of {compared:,} differ, such as {wrong[0]}"
        return Promise(name, kept=False, sentence=sentence)
    return Promise(name, kept=True, sentence=f"{compared:,} windows, none differs")


def monotone(revisions: Mapping[str, Sequence[int]]) -> Promise:
    """No config went back a revision, or came twice."""
    name = "config revisions only rise"
    if not revisions:
        return Promise(name, kept=False, sentence="no config was written")
    for scope, seen in sorted(revisions.items()):
        if any(later <= earlier for earlier, later in pairwise(seen)):
            return Promise(name, kept=False, sentence=f"{scope}: {list(seen)}")
    total = sum(len(seen) for seen in revisions.values())
    return Promise(name, kept=True, sentence=f"{total} records of {len(revisions)} scopes")


def stored(tables: Mapping[str, Held]) -> Promise:
    """Every row says what its record says, and there is one for each."""
    name = "Postgres equals the topics"
    if not any(each.records for each in tables.values()):
        return Promise(name, kept=False, sentence="nothing was on the topics")
    for table, each in sorted(tables.items()):
        if each.wrong:
            sentence = f"{len(each.wrong):,} of {table} differ, such as {each.wrong[0]}"
            return Promise(name, kept=False, sentence=sentence)
    told = ", ".join(f"{each.records:,} {table}" for table, each in sorted(tables.items()))
    return Promise(name, kept=True, sentence=told)


def repeatable(replayed: Replayed) -> Promise:
    """The journal, run again and again, gives the same bytes; under another policy it does not."""
    name = "replay is identical"
    if replayed.difference is not None:
        return Promise(name, kept=False, sentence=replayed.difference)
    if not replayed.commits or not all(replayed.commits.values()):
        return Promise(name, kept=False, sentence="a stage had nothing to replay")
    if replayed.otherwise is None:
        sentence = f"{replayed.change} in the catalog makes no difference"
        return Promise(name, kept=False, sentence=sentence)
    told = (
        f"{sum(replayed.commits.values()):,} commits of {len(replayed.commits)} stages, twice; "
        f"with {replayed.change}, {replayed.otherwise} differs"
    )
    return Promise(name, kept=True, sentence=told)
