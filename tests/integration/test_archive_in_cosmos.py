"""Archives of a log in Cosmos DB: in batches, beside services, killed, moved to another store and back."""

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import run_sync
from eventsourcing.persistence import IntegrityError, StoredEvent

from application.archive.archive_file import entries_in
from application.archived_state import archived_leaf, is_archived
from application.audit.chain import leaf_of
from application.event_log import EventLog
from application.log_copy import Entry
from config.audit_stores import open_audit_for_reading
from config.commands.archives import archive, restore
from config.commands.copy_log import copy_log
from config.commands.rebuild import rebuild
from config.commands.verify import verify
from config.settings import Settings
from domain.approval import ApprovalCommented, ApprovalRejected, ApprovalRequested, approval_stream
from domain.archived import ArchivedEvent
from domain.event import Event, Recorded
from domain.workflow import workflow_stream
from infrastructure.cosmos.archive_log import CosmosArchiveLog
from infrastructure.cosmos.ended_streams import GATE_OPERATIONS
from infrastructure.cosmos.event_store import cosmos_log_settings
from tests.archives import API, a_past, signing_settings
from tests.audit_trail import approval_id, kinds, verified_store, verify_file
from tests.builders import NOW, USER, metadata
from tests.cosmos import Account
from tests.harness import TENANT, eventually, run_module, service
from tests.infrastructure.cosmos_places import Place, place_in, place_with_leases
from tests.neighbours import Names, forget

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, pytest.mark.timeout(180)]

KEY = base64.b64encode(bytes(32)).decode()


@pytest.fixture
async def place(plain_cosmos: Account) -> AsyncIterator[Place]:
    async with place_with_leases(plain_cosmos) as place:
        yield place


@pytest.fixture
def settings(place: Place, tmp_path: Path, rabbitmq_url: str, names: Names) -> Settings:
    return signing_settings(tmp_path, overlay=names.overlay(), **environ_of(place, rabbitmq_url))


def environ_of(place: Place, rabbitmq_url: str = "amqp://guest:guest@127.0.0.1:1/") -> dict[str, Any]:
    return {
        **place.account.environ(place.name),
        "EVENT_STORE_URL": "cosmos://",
        "RABBITMQ_URL": rabbitmq_url,
        "PRIVACY_MASTER_KEY": KEY,
    }


def opened(place: Place) -> EventLog:
    account = place.account
    return EventLog(
        cosmos_log_settings(account.endpoint, account.key, database=place.name, container="workflow_events")
    )


def append(log: EventLog, number: int, comments: int = 0) -> str:
    """An approval that was rejected, after so many comments."""
    id = approval_id(number)
    stream = approval_stream(TENANT, id)
    events: list[Event] = [
        ApprovalRequested(approval_id=id, opportunity_id="opp-1", risk_score=0.5, amount=3, requested_at=NOW),
        *(ApprovalCommented(approval_id=id, by=USER, text=f"{n}", at=NOW) for n in range(comments)),
        ApprovalRejected(approval_id=id, opportunity_id="opp-1", decided_by=USER, decided_at=NOW),
    ]
    stored = [
        log.stored(Recorded(stream=stream, version=version, timestamp=NOW, meta=metadata(), event=event))
        for version, event in enumerate(events, start=1)
    ]
    for begin in range(0, len(stored), 90):
        log.recorder.insert_events(stored[begin : begin + 90])
    return stream


async def stored(settings: Settings) -> list[Entry]:
    async with AsyncExitStack() as stack:
        log = (await open_audit_for_reading(settings, stack)).log
        return [each for part in await log.partitions() for each in await log.read(part, 0, 10_000)]


async def archived(settings: Settings, out: Path) -> None:
    await archive(settings, out, older_than="0s", tenant=TENANT, reason="a test", dry_run=False)


def refuses(log: EventLog, stream: str, last: int) -> bool:
    """Whether nothing is stored after an event, nor in the place of one, nor anew."""
    for version in (1, 2, last, last + 1):
        try:
            log.recorder.insert_events([StoredEvent(stream, version, "topic", b"{}")])
        except IntegrityError:
            continue
        return False
    return True


def lost(before: Sequence[Entry], now: Sequence[Entry], out: Path) -> list[Entry]:
    """What is neither in the log as it was, nor in a file under the hash that the log has in its place."""
    here = {(each.stream, each.version): each for each in now}
    kept = {each for file in out.glob("*.gz*") if file.suffix != ".part" for each in entries_in(file)}
    return [
        each
        for each in before
        if (left := here[each.stream, each.version]) != each
        and not (
            each in kept
            and archived_leaf(left.state) == leaf_of(each.stream, each.version, each.topic, each.state)
        )
    ]


async def test_a_stream_of_more_than_a_batch_goes_killed_or_not_moves_and_comes_back(
    place: Place, settings: Settings, tmp_path: Path
) -> None:
    log, out = await run_sync(opened, place), tmp_path / "archives"
    long = await run_sync(append, log, 1, 250)
    short = await run_sync(append, log, 2)
    before = await stored(settings)
    environ = environ_of(place) | {
        "DATA_DIR": str(settings.storage.data_dir),
        "AUDIT_SIGNING_KEY_FILE": str(tmp_path / "key.pem"),
    }
    asked = ("--out", str(out), "--older-than", "0s", "--tenant", TENANT)
    killed = await run_sync(
        lambda: run_module("tests.chaos.killed_archive", "batch", *asked, timeout=60, **environ)
    )
    assert killed.returncode == -9, killed.stderr
    half = await stored(settings)
    assert 0 < sum(is_archived(each.state) for each in half) < 252, "between two batches of one stream"
    assert lost(before, half, out) == []
    assert await run_sync(refuses, log, long, 252)
    assert kinds(await verified_store(settings, tmp_path / "key.pub")) == []

    await archived(settings, out)
    (file,) = out.iterdir()
    after = await stored(settings)
    assert all(is_archived(each.state) for each in after)
    assert lost(before, after, out) == []
    for stream, last in ((long, 252), (short, 2)):
        assert await run_sync(refuses, log, stream, last)
    assert kinds(await verified_store(settings, tmp_path / "key.pub")) == []
    assert verify_file(file, [tmp_path / "key.pub"])["sound"]

    target = tmp_path / "elsewhere" / "events.db"
    target.parent.mkdir()
    await copy_log(settings, "cosmos://", f"sqlite:///{target}")
    async with place_in(place.account) as other:
        moved = signing_settings(tmp_path / "moved", **environ_of(other))
        await copy_log(moved, f"sqlite:///{target}", "cosmos://")
        assert await stored(moved) == after
        there = await run_sync(opened, other)
        assert await run_sync(refuses, there, long, 252)
        await restore(moved, [file], [tmp_path / "key.pub"])
        assert await stored(moved) == before
        there.close()

    await restore(settings, [file], ())
    assert await stored(settings) == before
    append_after = StoredEvent(short, 3, before[-1].topic, before[-1].state)
    await run_sync(log.recorder.insert_events, [append_after])
    log.close()


async def test_who_goes_on_with_one_of_a_large_family_keeps_all_of_it(
    place: Place, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its marks come in several batches, and go again; nobody is refused then."""
    monkeypatch.setattr("infrastructure.cosmos.transactions.MOST_OPERATIONS", 4 + GATE_OPERATIONS)
    monkeypatch.setattr(
        "application.archive.archiving.together", lambda firsts: [[each.stream for each in firsts]]
    )
    log, out = await run_sync(opened, place), tmp_path / "archives"
    streams = [await run_sync(append, log, number) for number in range(6)]
    before = await stored(settings)
    await archived(settings, out)
    (file,) = out.iterdir()
    assert all(is_archived(each.state) for each in await stored(settings))
    await restore(settings, [file], ())
    assert await stored(settings) == before

    file.rename(file.with_name(f"{file.name}.pending"))
    last = before[-1]
    batch = CosmosArchiveLog._batch
    marked: list[Any] = []

    async def batch_and_somebody_goes_on(self: CosmosArchiveLog, *given: Any) -> int | None:
        done = await batch(self, *given)
        if not marked:
            marked.append(given)
            going_on = [StoredEvent(streams[5], 3, last.topic, last.state)]
            await run_sync(log.recorder.insert_events, going_on)
        return done

    monkeypatch.setattr(CosmosArchiveLog, "_batch", batch_and_somebody_goes_on)
    await archived_begun_only(settings, out)
    assert (await stored(settings))[:-1] == before
    for stream in streams[:5]:
        await run_sync(log.recorder.insert_events, [StoredEvent(stream, 3, last.topic, last.state)])
    log.close()


async def archived_begun_only(settings: Settings, out: Path) -> None:
    """Nothing is so old: only what was begun is finished."""
    await archive(settings, out, older_than="36500d", tenant=TENANT, reason=None, dry_run=False)


@pytest.mark.rabbitmq
async def test_beside_a_service_that_remembers(
    settings: Settings, tmp_path: Path, rabbitmq_url: str, names: Names
) -> None:
    out = tmp_path / "archives"
    async with service(settings) as running, running.client() as client:
        made = await a_past(running)

        async def is_archived_now() -> bool:
            """Once the followers have saved that they have come so far."""
            await archived(settings, out)
            events, _ = await running.container.stores.event_store.history(
                workflow_stream(TENANT, made.failed), before=None, limit=1
            )
            return isinstance(events[0], ArchivedEvent)

        await eventually(is_archived_now, every=0.5)
        retried = await client.post(f"{API}/workflows/{made.failed}/retry", json={})
        assert (retried.status_code, retried.json()["error"]["code"]) == (410, "ARCHIVED")
        past = await client.get(f"{API}/hitl/approvals/{made.decided[0]}", params={"asOf": "1"})
        assert (past.status_code, past.json()["error"]["code"]) == (410, "ARCHIVED")
        trail = (await client.get(f"{API}/audit/events", params={"aggregateId": made.decided[0]})).json()
        told: list[Any] = [(each["intact"], each["archived"]["file"][:8]) for each in trail["events"]]
        assert told == [(True, TENANT[:8])] * 2
        decided = await client.post(f"{API}/hitl/approvals/{made.pending}/reject", json={"decidedBy": USER})
        assert decided.is_success
        cancelled = await client.post(f"{API}/workflows/{made.open}/cancel", json={"reason": "enough"})
        assert cancelled.is_success, cancelled.text
        await running.caught_up()
        assert all(each.status.failures == 0 for each in running.container.parts.followers)
    assert kinds(await verified_store(settings, tmp_path / "key.pub")) == []
    await rebuild(settings, ())
    await verify(settings, ())
    await forget(rabbitmq_url, names)
