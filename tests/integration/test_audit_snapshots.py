"""Whoever can write to the place of snapshots can put another there: ``audit verify`` finds it."""

import base64
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from application.pasts import Pasts
from application.snapshot_bytes import from_bytes, to_bytes
from application.snapshots import Snapshot, Snapshots, SnapshotStore
from config.privacy import open_personal
from domain import job
from domain.job import JobPaused, JobResumed
from domain.values import SYSTEM_TENANT
from infrastructure.postgres.snapshots import PostgresSnapshots
from infrastructure.sqlite.snapshots import SqliteSnapshots, snapshots_file
from tests.application.test_snapshots import Place, altered, runs
from tests.audit_trail import AuditedLog, audited_log, kinds
from tests.builders import NOW
from tests.harness import settings_in

pytestmark = pytest.mark.anyio

STREAM = f"{SYSTEM_TENANT}/job/j"


def forged(snapshot: Snapshot) -> Snapshot:
    """A state in which a run has never been, with a digest that anybody makes without a master key."""
    state, commands, digests, correlation = from_bytes(snapshot.body)
    return altered(snapshot, body=to_bytes((state, commands.delete("command-7"), digests, correlation)))


def code(snapshot: Snapshot) -> Snapshot:
    """No state, but something to run."""
    return altered(snapshot, body=b"cos\nsystem\n.")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AuditedLog]:
    """A log without a master key, with a job of thirty events, indexed."""
    url = request.getfixturevalue("postgres_store_url") if request.param == "postgres" else None
    async with audited_log(tmp_path, url) as opened:
        with kept_in(opened) as store:
            Place(opened.log, store).append(runs(1, 10), stream=STREAM)
        await opened.anchor()
        yield opened


@contextmanager
def kept_in(log: AuditedLog) -> Iterator[SnapshotStore]:
    if log.url.startswith("sqlite"):
        store = SqliteSnapshots(snapshots_file(Path(log.url.removeprefix("sqlite:///"))))
        yield store
        store.close()
    else:
        yield PostgresSnapshots(cast(Any, log.log.recorder).datastore)


def made(log: AuditedLog, change: Callable[[Snapshot], Snapshot] = lambda it: it) -> None:
    """The snapshot of the job's stream, as it is or changed."""
    with kept_in(log) as store:
        Place(log.log, store).read(stream=STREAM, every=5)
        snapshot = store.get(STREAM)
        assert snapshot is not None
        store.put(change(snapshot))


async def test_one_that_is_right_is_compared_and_sound(log: AuditedLog) -> None:
    assert not [note for note in (await log.verify())["notes"] if "snapshot" in note]
    made(log)
    told = await log.verify()
    assert told["sound"], told
    assert "1 snapshots were compared with the states of their streams" in told["notes"]


@pytest.mark.parametrize(("how", "is_used"), [(forged, True), (code, False)])
async def test_one_that_is_forged_is_found_and_named(
    log: AuditedLog, how: Callable[[Snapshot], Snapshot], is_used: bool
) -> None:
    """Without a master key it is used: so it has to be found."""
    made(log, how)
    told = await log.verify()
    assert kinds(told) == ["snapshot_altered"]
    assert (told["findings"][0]["stream"], told["findings"][0]["version"]) == (STREAM, 30)
    with kept_in(log) as store:
        using = Snapshots(store, log.log)
        past: Any = Pasts(log.log, most=1, snapshots=using).read({STREAM: job.evolve})[STREAM]
        using.close()
    assert ("command-7" not in past.commands) is is_used


async def test_one_that_this_release_does_not_use_is_told_and_no_finding(log: AuditedLog) -> None:
    made(log, lambda it: altered(it, recipe="0" * 64))
    told = await log.verify()
    assert told["sound"]
    assert [note for note in told["notes"] if "1 snapshots are of another release" in note]
    made(log, lambda it: altered(it, leaf=bytes(32)))
    assert [note for note in (await log.verify())["notes"] if "1 snapshots end with an event" in note]
    made(log, lambda it: altered(it, version=99))
    assert [note for note in (await log.verify())["notes"] if "1 snapshots end with an event" in note]


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    async with audited_log(tmp_path) as log:
        snapshots_file(tmp_path / "data" / "events.db").write_bytes(b"no database" * 100)
        told = await log.verify()
        assert told["sound"]
        assert [each for each in told["warnings"] if "snapshots were not compared" in each]


async def test_what_is_sealed_is_folded_with_its_keys_or_not_at_all(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, PRIVACY_MASTER_KEY=base64.b64encode(bytes(32)).decode())
    settings.storage.data_dir.mkdir(parents=True)
    async with AsyncExitStack() as stack:
        sealing = (await open_personal(settings, stack)).sealing
        log = await stack.enter_async_context(audited_log(tmp_path, sealing=sealing))
        paused = JobPaused(job="j", by="ada", reason="the disk of Ann is full", paused_at=NOW)
        resumed = JobResumed(job="j", by="ada", resumed_at=NOW)
        with kept_in(log) as store:
            Place(log.log, store).append([*runs(1, 3), paused, resumed, *runs(4, 9)], stream=STREAM)
        await log.index()
        made(log)
        told = await log.verify()
        assert [each for each in told["warnings"] if "neither privacy.master_key" in each]
        log.settings = settings
        told = await log.verify()
        assert told["sound"]
        assert "1 snapshots were compared with the states of their streams" in told["notes"]
        made(log, lambda it: msgspec.structs.replace(forged(it), digest=it.digest))
        assert kinds(await log.verify()) == ["snapshot_altered"]
