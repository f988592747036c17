"""A log with its audit trail, for tests that fill, index, anchor and tamper with it."""

import io
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from application.audit.anchoring import Anchoring
from application.audit.export import Export, ReadsWithKeys
from application.audit.indexing import Indexing, IndexPosition, LogAsStored
from application.audit.ports import Index, Indexed, Wanted
from application.event_log import EventLog
from application.event_store import EventStore
from application.log_copy import Entry
from application.ports import PublicMessage
from application.privacy.sealing import Sealing
from config.audit_stores import AuditStores
from config.commands.audit import reading, verify_export_file, verify_live
from config.postgres_stores import open_postgres_audit
from config.settings import Settings
from config.sqlite_stores import open_sqlite_audit
from domain.approval import ApprovalCommented, approval_stream
from domain.errors import BrokerUnavailable
from domain.event import Metadata, Recorded
from domain.lease import Lease
from infrastructure.anchor_file import NdjsonAnchorFile
from infrastructure.cosmos.anchor_book import CosmosAnchorBook
from infrastructure.cosmos.audit_index import CosmosAuditIndex
from infrastructure.cosmos.leases import CosmosLeases
from infrastructure.cosmos.log_container import SEGMENT_BYTES
from infrastructure.cosmos.stored_log import CosmosStoredLog
from infrastructure.postgres.event_store import postgres_log_settings
from infrastructure.signatures import Ed25519Signer, new_key
from infrastructure.sqlite.audit_index import audit_file
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.event_store import followers_file, sqlite_log_settings
from infrastructure.sqlite.personal_keys import keys_file
from interfaces.rest.audit import shown_event
from projections.follower import Follower
from tests.application.logs import cosmos_settings
from tests.builders import LEASE, NOW, OTHER_TENANT, TENANT, USER, SettableClock
from tests.cosmos import Account
from tests.harness import settings_in
from tests.infrastructure.cosmos_places import COORDINATION, Place, opened_in, place_in

EVENTS = "workflow_events"


class Told:
    """A broker that accepts all messages, or fails after some."""

    def __init__(self) -> None:
        self.messages: list[PublicMessage] = []
        self.fails_after: int | None = None

    async def publish(self, message: PublicMessage, lease: Lease) -> None:
        if self.fails_after is not None and len(self.messages) >= self.fails_after:
            raise BrokerUnavailable("it is away")
        self.messages.append(message)


class AuditedLog:
    """A log with its index, anchors and keys."""

    def __init__(
        self, settings: Settings, log: EventLog, store: EventStore, stores: AuditStores, signer: Ed25519Signer
    ) -> None:
        self.settings = settings
        self.log = log
        self.store = store
        self.stores = stores
        self.signer = signer
        self.clock = SettableClock()
        self.told = Told()
        self.folder = settings.storage.data_dir
        self.anchor_file = self.folder / "audit-anchors.ndjson"
        self.public_key = self.folder / "key.pub"
        self.public_key.write_bytes(signer.public.pem)

    @property
    def url(self) -> str:
        return self.settings.storage.effective_event_store_url.get_secret_value()

    def append(self, *ids: tuple[str, int], first_version: int = 1, says: str = "why") -> None:
        """Append comments: each of ``ids`` is an approval (tenant/number) and the number of comments."""
        for id, comments in ids:
            tenant, number = id.split("/")
            self.log.recorder.insert_events(
                [
                    self.log.stored(comment(tenant, int(number), version, says))
                    for version in range(first_version, first_version + comments)
                ]
            )

    def fill(self, *, each: int = 12) -> None:
        """Append comments of two tenants alternately, on three approvals each."""
        for version in range(1, each + 1):
            for tenant in (TENANT, OTHER_TENANT):
                for number in range(3):
                    self.append((f"{tenant}/{number}", 1), first_version=version)

    async def entries(self) -> list[Entry]:
        """Return the events of the log, by partition."""
        log = self.stores.log
        return [each for part in await log.partitions() for each in await log.read(part, 0, 10_000)]

    async def rows(self) -> list[Indexed]:
        """Return the rows of the index, in the same order."""
        index, parts = self.stores.index, await self.stores.log.partitions()
        return [each for part in parts for each in await index.read(part, 0, 10_000)]

    @property
    def made_index(self) -> Index:
        """The index, for writing."""
        assert self.stores.made_index is not None
        return self.stores.made_index

    def follower(self, *, batch_size: int = 7) -> Follower:
        """Return the follower that writes the index."""
        index = self.made_index
        return Follower(
            Indexing(index),
            LogAsStored(self.store, self.stores.log),
            IndexPosition(index),
            now=self.clock.now,
            batch_size=batch_size,
        )

    async def index(self, *, batch_size: int = 7) -> None:
        """Index the whole log, unless the log is its own index."""
        if self.stores.made_index is not None:
            await self.follower(batch_size=batch_size).catch_up(LEASE)

    def anchoring(self, signer: Ed25519Signer | None = None) -> Anchoring:
        """Return the part that anchors."""
        return Anchoring(
            self.store,
            self.stores.index,
            self.stores.anchors,
            NdjsonAnchorFile(self.anchor_file),
            self.told,
            signer or self.signer,
            self.clock,
            every_seconds=60,
        )

    async def anchor(self) -> None:
        """Index the log, and anchor the heads that have changed."""
        await self.index()
        self.clock.advance(minutes=5)
        await self.anchoring().anchor(LEASE)

    async def export(self, name: str = "export.ndjson", **wanted: Any) -> Path:
        """Write an export to a file."""
        async with AsyncExitStack() as stack:
            reads = await reading(self.settings, stack)
            return await self._exported(reads, name, wanted)

    async def _exported(self, reads: ReadsWithKeys, name: str, wanted: dict[str, Any]) -> Path:
        export = Export(self.stores.log, self.stores.index, reads, shown_event, self.signer, self.clock)
        file = self.folder / name
        with file.open("wb") as opened:
            async for chunk in export.chunks(Wanted(**{"tenant": TENANT, **wanted})):
                opened.write(chunk)
        return file

    def sql(self, statement: str, *values: Any) -> None:
        """Tamper with the log by an SQL statement of SQLite. EVENTS and ID are replaced by the store's
        names."""
        if self.url.startswith("sqlite"):
            text = statement.replace("EVENTS", "stored_events").replace("ID", "rowid")
            _sqlite(Path(self.url.removeprefix("sqlite:///")), text, values)
        else:
            text = statement.replace("EVENTS", "workflow_orchestrator_events").replace(
                "ID", "notification_id"
            )
            _postgres(self.url, text, values)

    def index_sql(self, statement: str, *values: Any) -> None:
        """Tamper with the index by an SQL statement."""
        if self.url.startswith("sqlite"):
            _sqlite(audit_file(Path(self.url.removeprefix("sqlite:///"))), statement, values)
        else:
            _postgres(self.url, statement, values)

    async def verify(self, *, anchors: bool = True) -> dict[str, Any]:
        """Return what ``audit verify`` prints about the store."""
        aside = self.anchor_file.with_suffix(".aside")
        if not anchors:
            self.anchor_file.rename(aside)
        try:
            return await self._verified()
        finally:
            if not anchors:
                aside.rename(self.anchor_file)

    async def _verified(self) -> dict[str, Any]:
        return await verified_store(self.settings, self.public_key)


async def verified_store(settings: Settings, public_key: Path) -> dict[str, Any]:
    """Return what ``audit verify`` prints about a store."""
    with redirect_stdout(io.TextIOWrapper(io.BytesIO())) as said:
        sound = await verify_live(settings, [public_key], [], as_json=True)
    return _told(said, sound)


def verify_file(export: Path, keys: Sequence[Path] = (), anchors: Sequence[Path] = ()) -> dict[str, Any]:
    """Return what ``audit verify --export`` prints about an export."""
    with redirect_stdout(io.TextIOWrapper(io.BytesIO())) as said:
        sound = verify_export_file(export, keys, anchors, as_json=True)
    return _told(said, sound)


def _told(said: io.TextIOWrapper, sound: bool) -> dict[str, Any]:
    said.flush()
    told: dict[str, Any] = msgspec.json.decode(said.buffer.getvalue())  # type: ignore[attr-defined]
    assert told["sound"] is sound
    return told


def kinds(told: dict[str, Any]) -> list[str]:
    """Return the kinds of the findings."""
    return [finding["kind"] for finding in told["findings"]]


def approval_id(number: int) -> str:
    return str(UUID(int=number))


def stream(tenant: str, number: int) -> str:
    return approval_stream(tenant, approval_id(number))


def comment(tenant: str, number: int, version: int, says: str = "why") -> Recorded:
    """Return an event that is always the same for the same arguments."""
    return Recorded(
        stream=stream(tenant, number),
        version=version,
        timestamp=NOW + timedelta(seconds=version),
        meta=Metadata(
            tenant=tenant,
            actor=USER if version % 2 else "service:crm",
            correlation_id=str(UUID(int=1000 + number)),
            command_id=f"c-{number}-{version}",
            causation_id=None,
        ),
        event=ApprovalCommented(approval_id=approval_id(number), by=USER, text=f"{says} {version}", at=NOW),
    )


def keys_beside_log(folder: Path) -> Path:
    """Return the file with the personal keys of :func:`audited_log` in SQLite."""
    (data := folder / "data").mkdir(parents=True, exist_ok=True)
    return keys_file(data / "events.db")


@asynccontextmanager
async def audited_log(
    folder: Path,
    postgres_url: str | None = None,
    signer: Ed25519Signer | None = None,
    sealing: Sealing | None = None,
    cosmos: Account | Place | None = None,
    segment_bytes: int = SEGMENT_BYTES,
) -> AsyncIterator[AuditedLog]:
    """Yield a log in SQLite in a folder, in PostgreSQL or in Cosmos DB. Without ``sealing``, nothing is
    sealed."""
    settings = settings_in(folder, EVENT_STORE_URL=postgres_url or "")
    settings.storage.data_dir.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        if postgres_url:
            log = EventLog(postgres_log_settings(postgres_url, connections=5), sealing)
            stores = await open_postgres_audit(postgres_url, stack)
        elif cosmos:
            place = cosmos if isinstance(cosmos, Place) else await stack.enter_async_context(place_in(cosmos))
            log = EventLog(
                cosmos_settings(place.account, place.name, segment_bytes=segment_bytes),
                sealing,
            )
            stores = await _cosmos_stores(place, stack)
        else:
            path = settings.storage.data_dir / "events.db"
            log = EventLog(sqlite_log_settings(path), sealing)
            followers = SqliteDatabase(followers_file(path), synchronous="NORMAL")
            stack.callback(followers.close)
            stores = await open_sqlite_audit(path, followers, stack)
        store = EventStore(log)
        stack.callback(store.close)
        yield AuditedLog(settings, log, store, stores, signer or new_key()[1])


async def _cosmos_stores(place: Place, stack: AsyncExitStack) -> AuditStores:
    """Return the stores in Cosmos DB, where the log is its own index."""
    database = await stack.enter_async_context(opened_in(place))
    await CosmosLeases(database, COORDINATION).create()
    anchors = CosmosAnchorBook(database, COORDINATION, Anchoring.name)
    index = CosmosAuditIndex(database, EVENTS)
    return AuditStores(CosmosStoredLog(database, EVENTS), index, anchors, None)


def lines_of(file: Path) -> list[dict[str, Any]]:
    """Return the lines of an export or of a file of anchors."""
    return [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]


def write_lines(file: Path, lines: Iterable[dict[str, Any]]) -> Path:
    """Write lines to a file beside the one that they came from. Return that file."""
    changed = file.with_suffix(".changed")
    changed.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return changed


def _sqlite(path: Path, statement: str, values: Sequence[Any]) -> None:
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(statement, values).rowcount != 0, statement
    connection.close()


def _postgres(url: str, statement: str, values: Sequence[Any]) -> None:
    with psycopg.connect(url) as connection:
        assert connection.execute(statement.replace("?", "%s").encode(), values).rowcount != 0, statement
