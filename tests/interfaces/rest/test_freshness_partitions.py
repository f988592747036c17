"""``X-Min-Position`` on one order over all tenants, and on an order a tenant: each waits for his own."""

from collections.abc import AsyncIterator, Sequence

import pytest
from starlette.requests import Request

from application.event_store import EventStore
from application.shared_reads import SharedReads
from domain.interest import EVERYTHING, Interest
from domain.job import JobFired
from infrastructure.memory.checkpoints import MemoryCheckpoints
from interfaces.rest import freshness
from interfaces.rest.errors import ApiError
from interfaces.rest.freshness import Freshness
from projections.follower import Follower
from tests.application.logs import ONE_PARTITION_AND_MANY, open_logs, settings_of
from tests.application.test_event_store import OTHER_STREAM, append
from tests.builders import LEASE, OTHER_TENANT, TENANT, SettableClock
from tests.projections.fakes import Remembering

pytestmark = pytest.mark.anyio

NAME = Remembering.name


@pytest.fixture(params=ONE_PARTITION_AND_MANY)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[EventStore]:
    with open_logs(settings_of(request.param, request)) as logs:
        yield logs.store()


def freshness_of(
    store: EventStore,
    positions: MemoryCheckpoints,
    followers: Sequence[Follower] = (),
    wants: Interest = EVERYTHING,
) -> Freshness:
    def follower(name: str, partition: str) -> Follower | None:
        return next(iter(followers), None)

    return Freshness(
        store,
        follower,
        {NAME: positions},
        reads=SharedReads(store),
        wants={NAME: wants},
        projections=[NAME],
        most_waiting=2,
    )


async def answer(fresh: Freshness, tenant: str, position: str) -> str:
    headers = [(b"x-min-position", position.encode()), (b"prefer", b"wait=0")]
    try:
        await fresh.require(Request({"type": "http", "headers": headers}), tenant, None)
    except ApiError as error:
        return error.code
    return "reached"


async def answers(fresh: Freshness, *places: tuple[str, str]) -> list[str]:
    return [await answer(fresh, tenant, position) for tenant, position in places]


async def test_a_saved_position_is_one_of_the_callers_partition(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freshness, "_ASK_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(freshness, "_MOST_SEEN", 1)
    theirs = await append(store, "x", "y", stream=OTHER_STREAM)
    ours = await append(store, "a", "b")
    positions = MemoryCheckpoints()
    fresh = freshness_of(store, positions)
    places = ((TENANT, ours.position), (OTHER_TENANT, theirs.position))
    assert await answers(fresh, *places) == ["NOT_YET", "NOT_YET"]
    await positions.save(NAME, store.partition_of(OTHER_TENANT), theirs.position, LEASE)
    assert await answers(fresh, *places) == ["NOT_YET", "reached"]
    await positions.save(NAME, store.partition_of(TENANT), ours.position, LEASE)
    assert await answers(fresh, *places) == ["reached", "reached"]


async def test_a_follower_here_tells_how_far_it_is_in_the_callers_partition(store: EventStore) -> None:
    theirs = await append(store, "x", stream=OTHER_STREAM)
    follower = Follower(
        Remembering(), store, MemoryCheckpoints(), now=SettableClock().now, poll_seconds=60, batch_size=10
    )
    await follower.catch_up(LEASE)
    assert follower.is_following
    fresh = freshness_of(store, MemoryCheckpoints(), [follower])
    ours = await append(store, "a")
    assert await answer(fresh, OTHER_TENANT, theirs.position) == "reached"
    assert await answer(fresh, TENANT, ours.position) == "NOT_YET"
    await follower.catch_up(LEASE)
    assert await answer(fresh, TENANT, ours.position) == "reached"


async def test_a_position_of_another_partition_is_no_position_of_the_callers(store: EventStore) -> None:
    theirs = await append(store, "x", stream=OTHER_STREAM)
    await append(store, "a")
    fresh = freshness_of(store, MemoryCheckpoints())
    is_one = store.partition_of(TENANT) == store.partition_of(OTHER_TENANT)
    assert await answer(fresh, TENANT, theirs.position) == ("NOT_YET" if is_one else "VALIDATION_ERROR")


async def test_what_a_projection_only_passes_by_it_need_not_have_reached(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its position is saved seldom then."""
    monkeypatch.setattr(freshness, "_ASK_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(freshness, "_LOOK_AT", 2)
    wanted = await append(store, "a")
    positions = MemoryCheckpoints()
    passed = await append(store, *"bcdef")

    wants = Interest(JobFired, where=lambda event: event.run_id == "a")
    fresh = freshness_of(store, positions, wants=wants)
    assert await answer(fresh, TENANT, passed.position) == "NOT_YET", "the first event is wanted"
    await positions.save(NAME, store.partition_of(TENANT), wanted.position, LEASE)
    assert await answer(fresh, TENANT, passed.position) == "reached"
    far = await append(store, *map(str, range(20)))
    assert await answer(fresh, TENANT, far.position) == "NOT_YET", "one does not look at a whole log"
