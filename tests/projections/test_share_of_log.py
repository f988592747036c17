"""Followers that have a share of the tenants each handle those alone, and all of them together."""

import pytest

from domain.share import shares
from infrastructure.memory.checkpoints import MemoryCheckpoints
from projections.follower import Follower
from projections.follower_status import FollowerStatus, together
from projections.share_of_log import ShareOfLog
from tests.builders import LEASE, SettableClock
from tests.projections.fakes import PartitionedLog, Remembering

pytestmark = pytest.mark.anyio


TENANTS = [f"tenant-{number}" for number in range(20)]


async def test_each_follows_its_own_and_all_is_followed(clock: SettableClock) -> None:
    log, positions = PartitionedLog(), MemoryCheckpoints()
    for tenant in TENANTS:
        log.append(tenant, tenant)
    handled: list[str] = []
    for share in shares(3):
        handler = Remembering()
        follower = Follower(handler, ShareOfLog(log, share), positions, now=clock.now)
        await follower.catch_up(LEASE)
        assert handler.runs
        assert all(map(share.has, handler.runs))
        handled += handler.runs
    assert sorted(handled) == sorted(TENANTS)


async def test_a_tenant_that_comes_later_is_followed_too(clock: SettableClock) -> None:
    log, share = PartitionedLog(*TENANTS[:5]), shares(3)[0]
    ours = ShareOfLog(log, share)
    assert list(await ours.partitions()) == [each for each in TENANTS[:5] if share.has(each)]
    for tenant in TENANTS[5:]:
        log.append(tenant, tenant)
    assert list(await ours.partitions()) == [each for each in TENANTS if share.has(each)]


async def test_who_begins_anew_forgets_the_positions_of_its_share_alone(clock: SettableClock) -> None:
    log, positions = PartitionedLog(), MemoryCheckpoints()
    for tenant in TENANTS:
        log.append(tenant, tenant)
        await positions.save("remembering", tenant, "another log's", LEASE)
    share = shares(3)[1]
    await Follower(Remembering(), ShareOfLog(log, share), positions, now=clock.now).take_over(LEASE)
    for tenant in TENANTS:
        assert (await positions.load("remembering", tenant, LEASE) is None) == share.has(tenant)


def test_the_shares_of_a_follower_are_shown_as_one() -> None:
    shown = together(
        [
            FollowerStatus("outbox", "standby", 0.0, 0, 0, None),
            FollowerStatus("outbox", "failing", 7.0, 3, 2, "away"),
            FollowerStatus("runs", "running", 0.0, 1, 0, None),
            FollowerStatus("outbox", "running", 1.0, 4, 0, None),
        ]
    )
    assert shown == [
        FollowerStatus("outbox", "failing", 7.0, 7, 2, "away"),
        FollowerStatus("runs", "running", 0.0, 1, 0, None),
    ]
