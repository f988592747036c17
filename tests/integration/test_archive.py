"""What is finished goes to an archive: everything else, and every proof, is as it was."""

import base64
import gzip
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient

from application.event_log import position_of
from config.audit_stores import open_audit_for_reading
from config.commands.archives import archive, restore
from config.commands.copy_log import copy_log
from config.commands.erase import erase
from config.commands.rebuild import rebuild
from config.commands.verify import verify
from config.postgres_stores import open_postgres_audit
from config.settings import Settings
from config.sqlite_stores import open_sqlite_audit
from config.start import CannotStart
from domain.archived import ArchivedEvent
from domain.workflow import workflow_stream
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.event_store import followers_file
from tests.archives import API, Made, a_past, documents_in, posted, signing_settings
from tests.audit_trail import kinds, verified_store, verify_file
from tests.harness import OTHER_TENANT, TENANT, USER, Service, eventually, service, settings_in
from tests.neighbours import Names

pytestmark = pytest.mark.anyio


ON_POSTGRES = (pytest.mark.postgres, pytest.mark.rabbitmq)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=ON_POSTGRES)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "sqlite":
        return signing_settings(tmp_path)
    return on_postgres(request.getfixturevalue, tmp_path)


def on_postgres(fixture: Callable[[str], Any], folder: Path) -> Settings:
    """A service there is not alone, and has a broker."""
    return signing_settings(
        folder,
        overlay=Names.fresh().overlay(),
        EVENT_STORE_URL=fixture("postgres_store_url"),
        RABBITMQ_URL=fixture("rabbitmq_url"),
        PRIVACY_MASTER_KEY=base64.b64encode(bytes(32)).decode(),
    )


class Archives:
    """A folder for them, beside a store with a past."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder / "archives"
        self.key = folder / "key.pub"

    async def archive(self, **chosen: Any) -> None:
        given = {"older_than": "0s", "tenant": TENANT, "reason": "a test", "dry_run": False, **chosen}
        await archive(self.settings, self.folder, **given)

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*"))


@pytest.fixture
async def archives(settings: Settings, tmp_path: Path) -> Archives:
    return Archives(settings, tmp_path)


async def answer(client: AsyncClient, path: str, **query: Any) -> tuple[int, Any]:
    got = await client.get(f"{API}{path}", params=query or None)
    return got.status_code, got.json()


async def past_in(settings: Settings) -> Made:
    async with service(settings) as running:
        made = await a_past(running)
        async with running.client() as client:
            head = await client.get(f"{API}/audit/head", headers={"X-Min-Position": await _head(running)})
            assert head.is_success
    return made


async def _head(running: Service) -> str:
    return await running.container.stores.event_store.head("log")


async def test_what_is_finished_is_proved_shown_and_refused_as_archived(
    archives: Archives, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = await past_in(settings)
    documents = documents_in(settings.storage.data_dir)
    await archives.archive(dry_run=True)
    assert not archives.folder.exists()
    capsys.readouterr()
    await archives.archive()
    said = capsys.readouterr().out
    (file,) = archives.files
    assert re.search(rf"^{TENANT}: 9 things, \d+ events: .*{file.name} ", said), said
    assert verify_file(file, [archives.key])["sound"]
    told = await verified_store(settings, archives.key)
    assert told["sound"], told
    assert any(file.name in note for note in told["notes"])

    async with service(settings) as running, running.client() as client:
        await running.caught_up()
        gone = f"/hitl/approvals/{made.decided[0]}"
        assert (await answer(client, gone))[1]["status"] == "rejected"
        assert await _error(client, f"{gone}?asOf=1") == (410, "ARCHIVED")
        assert await _error(client, f"/workflows/{made.done}?asOf=1") == (410, "ARCHIVED")
        refused = await client.post(f"{API}{gone}/approve", json={"decidedBy": USER})
        assert (refused.status_code, refused.json()["error"]["code"]) == (410, "ARCHIVED")
        assert refused.json()["error"]["details"] == {"archive": file.name}
        retried = await client.post(f"{API}/workflows/{made.failed}/retry", json={})
        assert retried.status_code == 410
        watched = await client.get(f"{API}/workflows/{made.done}/stream")
        assert watched.status_code == 410
        _, history = await answer(client, f"{gone}/events")
        assert [each["type"] for each in history["events"]] == ["approval.rejected", "approval.requested"]
        assert history["events"][1]["archived"]["by"].startswith("system:")
        assert history["events"][1]["archived"]["why"] == "a test"
        assert {each["archived"]["file"] for each in history["events"]} == {file.name}
        _, trail = await answer(client, "/audit/events", aggregateId=made.decided[0])
        assert [(each["intact"], each["archived"]["file"]) for each in trail["events"]] == [
            (True, file.name)
        ] * 2
        assert trail["events"][0]["actor"] == USER
        export = tmp_path / "export.ndjson"
        export.write_bytes((await client.get(f"{API}/audit/export")).content)
        checked = verify_file(export, [archives.key])
        assert checked["sound"], checked
        assert any(file.name in note for note in checked["notes"])
        await _goes_on(client, made)
    async with service(settings) as running, running.client(OTHER_TENANT) as other:
        await running.caught_up()
        assert (await answer(other, f"/hitl/approvals/{made.others}?asOf=1"))[1]["status"] == "pending"
    assert set(documents) == set(documents_in(settings.storage.data_dir))


async def _error(client: AsyncClient, path: str) -> tuple[int, str]:
    got = await client.get(f"{API}{path}")
    return got.status_code, got.json()["error"]["code"]


async def _goes_on(client: AsyncClient, made: Made) -> None:
    """What is not finished is as before, with its past."""
    assert (await answer(client, f"/hitl/approvals/{made.pending}?asOf=1"))[0] == 200
    decided = await client.post(f"{API}/hitl/approvals/{made.pending}/reject", json={"decidedBy": USER})
    assert decided.is_success
    status, then = await answer(client, f"/workflows/{made.open}?asOf=1")
    assert (status, then["status"]) == (200, "running")
    cancelled = await client.post(f"{API}/workflows/{made.open}/cancel", json={"reason": "enough"})
    assert cancelled.is_success, cancelled.text


async def test_a_rebuild_keeps_the_documents_and_misses_none(archives: Archives, settings: Settings) -> None:
    await past_in(settings)
    await archives.archive()
    documents = documents_in(settings.storage.data_dir)
    await verify(settings, ())
    await rebuild(settings, ())
    assert documents_in(settings.storage.data_dir) == documents
    await verify(settings, ())


async def test_again_there_is_nothing_and_what_is_restored_is_as_it_was(
    archives: Archives, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    made = await past_in(settings)
    before = await stored(settings)
    await archives.archive()
    await archives.archive()
    assert "nothing is to be archived\n" in capsys.readouterr().out
    (file,) = archives.files
    assert await stored(settings) != before
    await restore(settings, [file], ())
    assert await stored(settings) == before
    async with service(settings) as running, running.client() as client:
        assert (await answer(client, f"/hitl/approvals/{made.decided[0]}?asOf=1"))[1]["status"] == "pending"


async def test_what_was_archived_comes_back_where_the_log_has_other_ids_by_now(tmp_path: Path) -> None:
    settings = signing_settings(tmp_path)
    await past_in(settings)
    before = await stored(settings)
    archives = Archives(settings, tmp_path)
    await archives.archive()
    with closing(sqlite3.connect(settings.storage.data_dir / "events.db")) as log, log:
        log.execute("UPDATE stored_events SET rowid = rowid + 100000")
    (file,) = archives.files
    await restore(settings, [file], ())
    back = [(each.stream, each.version, each.state) for each in await stored(settings)]
    assert back == [(each.stream, each.version, each.state) for each in before]


async def test_a_changed_archive_is_not_restored(archives: Archives, settings: Settings) -> None:
    await past_in(settings)
    await archives.archive()
    (file,) = archives.files
    before = await stored(settings)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(CannotStart):
        await restore(settings, [file], ())
    assert await stored(settings) == before


async def test_a_log_with_archives_moves(archives: Archives, settings: Settings, tmp_path: Path) -> None:
    await past_in(settings)
    await archives.archive()
    target = tmp_path / "elsewhere" / "data"
    target.mkdir(parents=True)
    url = settings.storage.effective_event_store_url.get_secret_value()
    await copy_log(settings, url, f"sqlite:///{target}/events.db")
    moved = signing_settings(tmp_path / "elsewhere")
    assert await stored(moved) == await stored(settings)


async def test_the_index_made_anew_has_the_same_hashes(archives: Archives, settings: Settings) -> None:
    await past_in(settings)
    async with _index(settings) as index:
        heads = list(await index.heads())
    await archives.archive()
    async with _index(settings) as index:
        await index.clear()
    async with service(settings) as running:
        await running.caught_up()
    async with _index(settings) as index:
        assert list(await index.heads()) == heads
    assert kinds(await verified_store(settings, archives.key)) == []


async def test_nothing_younger_is_touched(archives: Archives, settings: Settings) -> None:
    await past_in(settings)
    before = await stored(settings)
    await archives.archive(older_than="1d")
    assert await stored(settings) == before


@pytest.mark.postgres
@pytest.mark.rabbitmq
async def test_beside_a_service_that_remembers(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    settings = on_postgres(request.getfixturevalue, tmp_path)
    archives = Archives(settings, tmp_path)
    async with service(settings) as running, running.client() as client:
        made = await a_past(running)
        await client.get(f"{API}/audit/head", headers={"X-Min-Position": await _head(running)})

        async def is_archived() -> bool:
            """Once the followers have saved that they have come so far."""
            await archives.archive()
            events, _ = await running.container.stores.event_store.history(
                workflow_stream(TENANT, made.failed), before=None, limit=1
            )
            return isinstance(events[0], ArchivedEvent)

        await eventually(is_archived, every=0.2)
        retried = await client.post(f"{API}/workflows/{made.failed}/retry", json={})
        assert (retried.status_code, retried.json()["error"]["code"]) == (410, "ARCHIVED")
        await _goes_on(client, made)
        await running.caught_up()
        assert all(each.status.failures == 0 for each in running.container.parts.followers)


async def stored(settings: Settings) -> list[Any]:
    """Every event of the log, as it is stored."""
    async with AsyncExitStack() as stack:
        sources = await open_audit_for_reading(settings, stack)
        return [
            entry
            for partition in await sources.log.partitions()
            for entry in await sources.log.read(partition, 0, 10_000)
        ]


@asynccontextmanager
async def _index(settings: Settings) -> AsyncIterator[Any]:
    """The index, to be written."""
    url = settings.storage.effective_event_store_url.get_secret_value()
    async with AsyncExitStack() as stack:
        if url.startswith("sqlite:///"):
            path = Path(url.removeprefix("sqlite:///"))
            followers = SqliteDatabase(followers_file(path), synchronous="NORMAL")
            stack.callback(followers.close)
            yield (await open_sqlite_audit(path, followers, stack)).made_index
        else:
            yield (await open_postgres_audit(url, stack)).made_index


async def test_an_erasure_finds_what_is_archived_and_leaves_none_of_it(
    settings: Settings, archives: Archives, tmp_path: Path
) -> None:
    async with service(settings) as running, running.client() as client:
        id = (await posted(client, "/hitl/approvals", {"opportunityId": "o", "riskScore": 1, "amount": 1}))[
            "id"
        ]
        await posted(client, f"/hitl/approvals/{id}/reject", {"decidedBy": USER, "comment": "says Zebedee"})
        await running.caught_up()
    await archives.archive()
    (file,) = archives.files
    assert b"Zebedee" not in gzip.decompress(file.read_bytes())
    async with _index(settings) as index:
        await index.clear()
    async with service(settings) as running, running.client() as client:
        await running.caught_up()
        gone = f"{API}/hitl/approvals/{id}"
        assert (await client.get(gone)).json()["comment"] == "says Zebedee"
        await erase(settings, TENANT, USER, None, dry_run=False, again=False)

        async def is_gone() -> bool:
            return (await client.get(gone)).status_code == 410

        await eventually(is_gone)
    assert not told_of_zebedee(settings)
    await rebuild(settings, ())
    assert not told_of_zebedee(settings)
    await verify(settings, ())
    assert kinds(await verified_store(settings, archives.key)) == []


def told_of_zebedee(settings: Settings) -> list[Any]:
    """The documents that have his name."""
    rows = [row for each in documents_in(settings.storage.data_dir).values() for row in each]
    return [row for row in rows if b"Zebedee" in row[3]]


async def test_what_the_documents_of_the_folder_do_not_have_yet_stays(
    archives: Archives, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await past_in(settings)
    with closing(sqlite3.connect(settings.storage.data_dir / "documents.db")) as documents, documents:
        first = position_of(1, f"{TENANT}/approval/a", 1)
        documents.execute(
            "UPDATE follower_positions SET position = ? WHERE follower = 'hitl_approvals'", (first,)
        )
    await archives.archive()
    told = capsys.readouterr().out
    assert "nothing is to be archived" not in told
    assert re.search(r"left out, since hitl_approvals has not followed it yet: [0-9]{2,} events; let", told)


async def test_that_files_are_not_signed_is_told_before_there_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what was written so is put back without the key, and written again with it."""
    signed = signing_settings(tmp_path)
    await past_in(signed)
    archives = Archives(settings_in(tmp_path), tmp_path)
    for dry_run in (True, False):
        await archives.archive(dry_run=dry_run)
        told = capsys.readouterr()
        assert told.err.startswith("WARNING: ARCHIVES ARE NOT SIGNED: neither audit.signing_key nor")
        assert told.out.startswith(f"{TENANT}: 9 things")
    (file,) = archives.files
    assert kinds(verify_file(file, [archives.key])) == ["unsigned"]
    await restore(archives.settings, [file], ())
    file.unlink()
    again = Archives(signed, tmp_path)
    await again.archive()
    assert capsys.readouterr().err == ""
    assert verify_file(again.files[0], [archives.key])["sound"]


async def test_an_age_from_before_the_calendar_is_refused(tmp_path: Path) -> None:
    archives = Archives(signing_settings(tmp_path), tmp_path)
    with pytest.raises(CannotStart, match="--older-than 99999999d"):
        await archives.archive(older_than="99999999d")
