"""The figures of a campaign, to be printed."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec

from tests.chaos.campaign.checks import Case, Finding
from tests.chaos.campaign.checks.wire import expected, key_of, published
from tests.chaos.campaign.evidence import COMMANDS, Evidence, Seen

CLOCK_IS_WRONG_SECONDS = 1800.0


class Figures(msgspec.Struct, kw_only=True):
    """What happened, in numbers; seconds from an append to the wire are without those under a false clock."""

    form: str
    seed: str
    seconds: float
    commands: int
    acknowledged: int
    refused: int
    unknown: int
    queries: int
    messages_in: int
    deliveries_in: int
    messages_out: int
    repeats_out: int
    events: int
    workflows: int
    kills: int
    ended_by_themselves: int
    other_faults: dict[str, int]
    lost: int
    doubled: int
    stuck: int
    other_findings: int
    seconds_to_settle: float
    seconds_to_the_wire: dict[str, float]

    def lines(self) -> list[str]:
        """One line a figure."""
        shown = []
        for name, value in msgspec.structs.asdict(self).items():
            if isinstance(value, dict):
                value = ", ".join(f"{key} {number}" for key, number in value.items()) or "none"
            shown.append(f"  {name.replace('_', ' '):<22} {value}")
        return shown


def figures(
    case: Case,
    evidence: Evidence,
    findings: Sequence[Finding],
    *,
    form: str,
    seed: str,
    seconds: float,
    seconds_to_settle: float,
    kills: int,
    ended_by_themselves: int,
) -> Figures:
    """Count."""
    commands = [asked for asked in case.asked if asked.kind in COMMANDS]
    told = Counter(asked.told for asked in commands)
    kinds = Counter(finding.kind for finding in findings)
    out = published(case)
    faults = Counter(fault.name for fault in evidence.faults)
    for name in ("kill -9", "ended by itself"):
        faults.pop(name, None)
    return Figures(
        form=form,
        seed=seed,
        seconds=round(seconds, 1),
        commands=len(commands),
        acknowledged=told["yes"],
        refused=told["no"],
        unknown=told["unknown"],
        queries=len(case.asked) - len(commands),
        messages_in=len(case.sent_ids),
        deliveries_in=sum(sent.confirmed for sent in case.sent),
        messages_out=len({seen.body["id"] for seen in out}),
        repeats_out=_repeats(out),
        events=len(case.events),
        workflows=sum("/workflow/" in stream for stream in case.streams),
        kills=kills,
        ended_by_themselves=ended_by_themselves,
        other_faults=dict(sorted(faults.items())),
        lost=kinds["lost"],
        doubled=kinds["doubled"],
        stuck=kinds["stuck"],
        other_findings=len(findings) - kinds["lost"] - kinds["doubled"] - kinds["stuck"],
        seconds_to_settle=round(seconds_to_settle, 1),
        seconds_to_the_wire=_delays(case),
    )


def _repeats(out: Sequence[Seen]) -> int:
    """Without what the broker gave the listener again."""
    known: set[str] = set()
    repeats = 0
    for seen in out:
        repeats += seen.body["id"] in known and not seen.redelivered
        known.add(seen.body["id"])
    return repeats


def _delays(case: Case) -> dict[str, float]:
    """From an event's time to its message's first appearance; outages are part of it."""
    first: dict[object, float] = {}
    for seen in published(case):
        first.setdefault(key_of(seen), seen.at)
    delays = []
    for key, (event, *_) in expected(case).items():
        if key in first:
            delay = first[key] - datetime.fromisoformat(event.state["at"]).timestamp()
            if abs(delay) < CLOCK_IS_WRONG_SECONDS:
                delays.append(delay)
    if not delays:
        return {}
    delays.sort()
    return {
        "median": round(delays[len(delays) // 2], 3),
        "p95": round(delays[int(len(delays) * 0.95)], 3),
        "longest": round(delays[-1], 3),
    }
