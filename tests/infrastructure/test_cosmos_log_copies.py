"""A log goes into Cosmos DB and out of it, tenant by tenant; a copy that died is seen, and goes on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from eventsourcing.persistence import StoredEvent

from application.event_log import position_of
from application.log_copy import CannotCopy, Copied, copy
from application.log_orders import InOneOrder, InTenantsOrders, TenantDigests
from application.outbox import Outbox
from application.ports import Timer
from config.commands.cosmos_copies import read_cosmos_log, write_cosmos_log
from config.cosmos import COORDINATION
from config.cosmos_beside import BESIDE
from config.settings import Settings
from domain.errors import StoreUnavailable
from domain.lease import Unrivalled
from infrastructure.cosmos.half_copy import HalfCopy
from infrastructure.cosmos.leases import CosmosLeases
from infrastructure.cosmos.log_reader import CosmosLogReader
from infrastructure.cosmos.timers import CosmosTimers
from tests.application.logs import UNVERIFIED, LostAnswer, cosmos_settings, open_logs
from tests.builders import after
from tests.cosmos import Account
from tests.harness import settings_in
from tests.infrastructure.cosmos_places import Place, opened_in, place_in
from tests.moved_logs import (
    TIMERS,
    held,
    reading,
    run,
    unseen,
    with_what_waits,
    writing,
)
from tests.tenants_logs import DUE, MARK, by_tenant, filled, saved

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, UNVERIFIED]


class There:
    """A database of a test's own, and the settings that lead there."""

    def __init__(self, place: Place, settings: Settings) -> None:
        self.place = place
        self.settings = settings

    async def copied_from(self, url: str, meddle: Callable[[Any], None] = lambda writer: None) -> Copied:
        async with reading(url) as reader, write_cosmos_log(self.settings) as writer:
            meddle(writer)
            return await copy(InTenantsOrders(reader), writer, unseen, TenantDigests)

    async def copied_to(self, url: str, *, appended: str | None = None) -> Copied:
        """``appended`` is a stream that somebody appends to once the copy has begun."""
        async with read_cosmos_log(self.settings) as log, writing(url) as writer:
            await log.count()
            if appended is not None:
                self.append(appended)
            return await copy(InOneOrder(log, first=Outbox.name), writer, unseen, TenantDigests)

    def append(self, stream: str) -> None:
        """As a service does."""
        with open_logs(cosmos_settings(self.place.account, self.place.name)) as logs:
            logs.open().recorder.insert_events([StoredEvent(stream, 1, "fired", b"{}")])

    @asynccontextmanager
    async def read(self) -> AsyncIterator[CosmosLogReader]:
        async with opened_in(self.place) as database:
            yield CosmosLogReader(database, "workflow_events", COORDINATION, BESIDE, place="here")


@pytest.fixture
async def there(cosmos: Account, tmp_path: Path) -> AsyncIterator[There]:
    async with place_in(cosmos) as place:
        environ: dict[str, Any] = cosmos.environ(place.name)
        yield There(place, settings_in(tmp_path, **environ))


@pytest.fixture
async def source(tmp_path: Path) -> str:
    """A log in SQLite."""
    return await filled(f"sqlite:///{tmp_path / 'source' / 'events.db'}")


async def events_in(there: There) -> dict[str, list[Any]]:
    async with there.read() as reader:
        found: dict[str, list[Any]] = {}
        async for batch in reader.events():
            for each in batch:
                found.setdefault(each.stream[0], []).append(msgspec.structs.astuple(each)[1:])
        return found


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def test_there_and_back_everything_is_as_it_was_in_each_tenants_order(
    there: There, tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    if kind == "sqlite":
        first, back = (f"sqlite:///{tmp_path / name / 'events.db'}" for name in ("first", "back"))
        (tmp_path / "back").mkdir()
    else:
        first, back = (
            request.getfixturevalue(name) for name in ("postgres_store_url", "other_postgres_store_url")
        )
    await filled(first)
    gone = await there.copied_from(first)
    assert (gone.source, gone.was_there, gone.source.count) == (gone.target, False, 211)
    assert {name: each.count for name, each in gone.source.tenants.items()} == {"a": 71, "b": 70, "c": 70}
    assert await events_in(there) == by_tenant(first)
    again = await there.copied_from(first)
    assert (again.was_there, again.target, again.positions) == (True, gone.target, gone.positions)

    come = await there.copied_to(back)
    assert (come.target, come.was_there) == (gone.source, False)
    assert by_tenant(back) == by_tenant(first)
    assert (held(back).timers, held(back).step_calls) == (held(first).timers, held(first).step_calls)
    assert held(back).anchors == held(first).anchors
    positions = {row[:2]: row[2] for row in held(back).positions}
    newest = held(back).events[-1]
    assert positions["outbox", "log"] == positions["runs", "log"] == position_of(*newest[:3])
    assert positions["workflow-timers", "log"].startswith("log-100-")
    assert positions["scheduler", "nightly"] == MARK.position
    assert (await there.copied_to(back)).was_there


async def test_timers_are_found_by_who_set_them_and_by_the_clock(there: There, source: str) -> None:
    await there.copied_from(source)
    async with opened_in(there.place) as database:
        found: list[Timer] = []
        for place in BESIDE.places(BESIDE.setter):
            timers = CosmosTimers(database, COORDINATION, setter=place, clock="timers")
            due = await timers.due(after(microseconds=599), 1000)
            assert {BESIDE.place_of(BESIDE.setter, timer.meta.tenant) for timer in due} <= {place}
            found += due
            if due:
                await timers.change(set=(), cancel=[due[0].id], lease=Unrivalled(place))
                assert await timers.due(after(microseconds=599), 1000) == due[1:]
        assert sorted(found, key=lambda timer: timer.id) == sorted(DUE, key=lambda timer: timer.id)


class Dies(Exception):
    """What a copy ends of in the middle."""


async def half_copied(there: There, source: str, batches: int = 1) -> None:
    """Let the store take so many transactions, and no more."""

    def dying(writer: Any) -> None:
        real, left = writer._container.store, batches

        def store(*what: Any, **how: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Dies
            return real(*what, **how)

        writer._container.store = store

    with pytest.raises(Dies):
        await there.copied_from(source, dying)


async def test_a_copy_that_died_goes_on_and_its_half_is_no_source(
    there: There, source: str, tmp_path: Path
) -> None:
    await filled(source_of := f"sqlite:///{tmp_path / 'long' / 'events.db'}", rounds=300)
    await half_copied(there, source_of, batches=4)
    half = sum(map(len, (await events_in(there)).values()))
    assert 0 < half < 901
    (tmp_path / "to").mkdir()
    with pytest.raises(CannotCopy, match="--from: the log in Cosmos DB is an incomplete copy"):
        await there.copied_to(f"sqlite:///{tmp_path / 'to' / 'events.db'}")
    copied = await there.copied_from(source_of)
    assert (copied.source, copied.was_there, copied.target.count) == (copied.target, False, 901)
    assert await events_in(there) == by_tenant(source_of)
    assert (await there.copied_from(source_of)).was_there


async def test_half_a_copy_of_another_log_is_not_gone_on_with(
    there: There, source: str, tmp_path: Path
) -> None:
    await half_copied(there, source)
    other = await filled(f"sqlite:///{tmp_path / 'other' / 'events.db'}", state=b'{"n":2}')
    with pytest.raises(CannotCopy, match="holds half a copy of another log: take an empty database"):
        await there.copied_from(other)
    assert (await there.copied_from(source)).target.count == 211, "it goes on with its own"


async def test_half_a_copy_of_what_the_log_was_before_it_was_changed_is_found(
    there: There, source: str
) -> None:
    await half_copied(there, source)
    run(source, "UPDATE stored_events SET topic = 'tired' WHERE rowid IN (4, 5, 6)")
    with pytest.raises(CannotCopy, match=r"its 7\d events of [abc] are not the source's"):
        await there.copied_from(source)


async def test_a_target_that_holds_a_log_of_its_own_is_refused_and_left_alone(
    there: There, source: str
) -> None:
    there.append("z/job/1")
    with pytest.raises(CannotCopy, match="the target holds 1 events already, and the source 211"):
        await there.copied_from(source)
    assert await events_in(there) == {"z": [("z/job/1", 1, "fired", b"{}")]}


async def test_what_somebody_appends_meanwhile_is_found(there: There, source: str) -> None:
    def racing(writer: Any) -> None:
        real = writer._container.store

        def store(tenant: str, *what: Any, **how: Any) -> Any:
            writer._container.store = real
            there.append(f"{tenant}/job/theirs")
            return real(tenant, *what, **how)

        writer._container.store = store

    with pytest.raises(CannotCopy, match=r"somebody else appends to [abc]: "):
        await there.copied_from(source, racing)


async def test_what_is_appended_to_the_source_while_it_is_read_is_found(
    there: There, source: str, tmp_path: Path
) -> None:
    await there.copied_from(source)
    (tmp_path / "to").mkdir()
    target = f"sqlite:///{tmp_path / 'to' / 'events.db'}"
    with pytest.raises(CannotCopy, match="a service has appended to it meanwhile"):
        await there.copied_to(target, appended="a/job/new")
    assert held(target).events == []


async def test_a_lost_answer_to_a_transaction_is_no_loss_and_no_doubling(there: There, source: str) -> None:
    lost: list[LostAnswer] = []

    def losing(writer: Any) -> None:
        lost.append(LostAnswer(writer._container))
        lost[0].arm()

    copied = await there.copied_from(source, losing)
    assert (lost[0].lost, copied.source) == (1, copied.target)
    assert await events_in(there) == by_tenant(source)


async def test_an_account_that_is_away_for_a_moment_is_waited_for(there: There, source: str) -> None:
    def away(writer: Any) -> None:
        real = writer._container.store

        def store(*what: Any, **how: Any) -> Any:
            writer._container.store = real
            real(*what, **how)
            raise StoreUnavailable("it is not known whether it is done")

        writer._container.store = store

    copied = await there.copied_from(source, away)
    assert copied.source == copied.target
    assert await events_in(there) == by_tenant(source)


async def test_large_events_go_in_smaller_transactions(there: There, tmp_path: Path) -> None:
    large = await filled(f"sqlite:///{tmp_path / 'large' / 'events.db'}", rounds=4, state=b"x" * 700_000)
    assert (await there.copied_from(large)).target.count == 13


async def test_an_event_that_no_transaction_takes_is_named(there: There, tmp_path: Path) -> None:
    huge = await filled(f"sqlite:///{tmp_path / 'huge' / 'events.db'}", rounds=1, state=b"x" * 2_000_000)
    with pytest.raises(CannotCopy, match=r"event 1 of [abc]/job/0 has 2,\d{3},\d{3} bytes"):
        await there.copied_from(huge)


async def test_a_service_at_work_on_either_side_is_refused_and_a_dead_one_is_waited_for(
    there: There, source: str, tmp_path: Path
) -> None:
    async with opened_in(there.place) as database:
        leases = CosmosLeases(database, COORDINATION)
        await leases.create()
        await leases.hold(["outbox"], "somebody")

        async def renew() -> None:
            while True:
                await anyio.sleep(1)
                await leases.hold(["outbox"], "somebody")

        alive = asyncio.ensure_future(renew())
        with pytest.raises(CannotCopy, match=r"a service is at work on it \(somebody-"):
            await there.copied_from(source)
        alive.cancel()
        assert not (await there.copied_from(source)).was_there


@pytest.mark.parametrize("moment", ["begin", "put_step_calls"])
async def test_a_copy_in_whose_place_another_went_on_does_not_end(
    there: There, source: str, moment: str
) -> None:
    def overtaken(writer: Any) -> None:
        real = getattr(writer, moment)

        async def overtaking(*what: Any) -> Any:
            answer = await real(*what)
            async with opened_in(there.place) as database:
                await HalfCopy(database, "workflow_events").mark("another")
            return answer

        setattr(writer, moment, overtaking)

    with pytest.raises(CannotCopy, match="another copy has gone on in place of this one"):
        await there.copied_from(source, overtaken)


async def test_what_this_release_does_not_know_is_told_and_not_lost(there: There, source: str) -> None:
    saved(source, msgspec.structs.replace(MARK, follower="of-another-release"))
    with pytest.raises(CannotCopy, match="knows no follower of-another-release"):
        await there.copied_from(source)
    run(source, "DELETE FROM follower_positions WHERE follower = 'of-another-release'", beside=True)
    await with_what_waits(source, [msgspec.structs.replace(TIMERS[0], id="odd", kind="of-another")])
    with pytest.raises(CannotCopy, match="knows no timers of the kind of-another"):
        await there.copied_from(source)
