"""Logs of several tenants, for tests in which the order is kept only within each tenant."""

from typing import Any

import msgspec
from eventsourcing.persistence import StoredEvent

from application.event_log import position_of
from application.log_copy import FollowerPosition
from config.cosmos_beside import BESIDE
from tests.moved_logs import TIMERS, file_of, held, opened, run, with_what_waits

TENANTS = ("a", "b", "c")
KINDS = sorted(BESIDE.kinds)
DUE = [msgspec.structs.replace(timer, kind=KINDS[n % len(KINDS)]) for n, timer in enumerate(TIMERS)]
MARK = FollowerPosition("scheduler", "nightly", "2026-03-01T00:00:00.000Z 0 2 * * * Europe/Berlin")


async def filled(url: str, rounds: int = 70, state: bytes = b'{"n":1}') -> str:
    """Store events of three tenants alternately, timers and calls, and the positions of three followers."""
    if url.startswith("sqlite"):
        file_of(url).parent.mkdir(exist_ok=True)
    with opened(url) as log:
        for number in range(rounds):
            for tenant in TENANTS:
                stream = f"{tenant}/job/{number // 10}"
                log.recorder.insert_events([StoredEvent(stream, number % 10 + 1, "fired", state)])
        log.recorder.insert_events([StoredEvent("a/job/odd", 1, "fired", bytes(range(256)))])
    await with_what_waits(url, DUE)
    rows = held(url).events
    for follower, row in (("outbox", rows[-1]), ("runs", rows[-1]), ("workflow-timers", rows[:100][-1])):
        saved(url, FollowerPosition(follower, "log", position_of(row[0], row[1], row[2])))
    saved(url, MARK)
    return url


def saved(url: str, at: FollowerPosition) -> None:
    statement = "INSERT INTO follower_positions (follower, partition, position) VALUES"
    run(url, f"{statement} ('{at.follower}', '{at.partition}', '{at.position}')", beside=True)


def by_tenant(url: str) -> dict[str, list[Any]]:
    """Return each tenant's events in their order, without their IDs."""
    found: dict[str, list[Any]] = {}
    for _, *row in held(url).events:
        found.setdefault(row[0][0], []).append(tuple(row))
    return found
