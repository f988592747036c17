"""A thousand firings by three instances that are killed at random: none is lost, none is two messages.

Scaled down from cron's minutes to a nominal time each 25 ms, so that all is over within a minute: the clock,
the leases, the log and the broker are the real ones.
"""

import random
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest

from domain.job import job_stream
from domain.values import timestamp
from tests.chaos.campaign.stored import postgres_events
from tests.chaos.decisions import get, in_thread
from tests.chaos.fast_cron import JOB
from tests.harness import SYSTEM_TENANT, ServiceProcess, eventually
from tests.neighbours import Names, Neighbour, forget

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq, pytest.mark.postgres]

FIRINGS, STEP_MS = 1_000, 25
KILLS_AT_LEAST = 5


@pytest.fixture
def names(rabbitmq_url: str) -> Iterator[Names]:
    """Names of this test's own, deleted once the last process has ended."""
    fresh = Names.fresh()
    yield fresh
    anyio.run(forget, rabbitmq_url, fresh)


class Instances:
    """Three processes on one log, each with a folder of its own."""

    def __init__(self, folder: Path, overlay: dict[str, Any], environ: dict[str, str]) -> None:
        self._made = [self._one(folder / f"instance-{number}", overlay, environ) for number in range(3)]

    def _one(self, folder: Path, overlay: dict[str, Any], environ: dict[str, str]) -> ServiceProcess:
        folder.mkdir()
        return ServiceProcess(folder, overlay=overlay, module="tests.chaos.fast_cron", **environ)

    async def start(self) -> None:
        """All of them together."""
        for each in self._made:
            each.launch()
        for each in self._made:
            await in_thread(each.until_it_serves)

    @property
    def first(self) -> ServiceProcess:
        """One of them."""
        return self._made[0]

    async def kill_at_random(self, until: float, dice: random.Random) -> int:
        """kill -9 one after the other, and start each again at once; how many were killed."""
        kills = 0
        while time.time() < until:
            await anyio.sleep(dice.uniform(0.5, 4))
            victim = dice.choice(self._made)
            await in_thread(victim.kill)
            victim.launch()
            kills += 1
        return kills

    def stop(self) -> None:
        """End whoever still runs."""
        for each in self._made:
            each.stop()


def events_of(store: str) -> list[tuple[str, dict[str, Any]]]:
    """What has happened to the job: topics and what they say."""
    return [(each.topic, each.data) for each in postgres_events(store) if each.stream == job_stream(JOB)]


def watched_until(store: str, milliseconds: int) -> None:
    """Whatever passes before the first instance is up is owed too."""
    moment = timestamp(datetime.fromtimestamp(milliseconds / 1000, UTC))
    statement = "INSERT INTO follower_positions (follower, partition, position) VALUES (%s, %s, %s)"
    with psycopg.connect(store) as connection:
        connection.execute(statement, ("scheduler", JOB, f"{moment} fast UTC"))


def message_ids(crm: Neighbour) -> dict[str, set[str]]:
    """Under which ids each run's trigger went out."""
    ids: dict[str, set[str]] = defaultdict(set)
    for body in crm.messages("workflow.job.trigger"):
        ids[body["metadata"]["correlationId"]].add(body["id"])
    return ids


@pytest.mark.timeout(180)
async def test_a_thousand_firings_and_random_kills_lose_none_and_double_none(
    tmp_path: Path, names: Names, crm: Neighbour, postgres_store_url: str, rabbitmq_url: str
) -> None:
    first = round(time.time() * 1000) + 5_000
    last = first + (FIRINGS - 1) * STEP_MS
    instances = Instances(
        tmp_path,
        names.overlay(),
        {
            "RABBITMQ_URL": rabbitmq_url,
            "EVENT_STORE_URL": postgres_store_url,
            "FAST_CRON_FROM": str(first),
            "FAST_CRON_UNTIL": str(last),
            "FAST_CRON_STEP": str(STEP_MS),
        },
    )
    watched_until(postgres_store_url, first - 1)
    try:
        await instances.start()
        kills = await instances.kill_at_random(last / 1000, random.Random(7))

        async def all_went_out() -> bool:
            return len(message_ids(crm)) >= FIRINGS

        await eventually(all_went_out, seconds=60, every=0.25)
        await in_thread(instances.first.until_it_serves)
        told = await get(instances.first, f"/jobs/{JOB}/preview", SYSTEM_TENANT)
        assert told["catchUpTotal"] == 0
    finally:
        instances.stop()

    assert kills >= KILLS_AT_LEAST
    events = events_of(postgres_store_url)
    fired = [data for topic, data in events if topic == "job.fired"]
    assert len({data["nominal_at"] for data in fired}) == len(fired) == FIRINGS
    times = [datetime.fromisoformat(data["nominal_at"]) for data in fired]
    assert times == sorted(times)
    assert {topic for topic, _ in events} <= {"job.fired", "job.run_published"}
    noted = [data["run_id"] for topic, data in events if topic == "job.run_published"]
    ids = message_ids(crm)
    assert len(set(noted)) == len(noted)
    assert set(noted) <= {data["run_id"] for data in fired} == set(ids)
    assert {len(each) for each in ids.values()} == {1}
