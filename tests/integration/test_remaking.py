"""Documents after an erasure: made again at the versions that they are at, live and in a build under way."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec
import pytest

from application.privacy.ciphers import MasterKey, new_key
from application.privacy.erasing import Erasing
from application.privacy.keyring import Keyring
from application.privacy.sealing import PersonalNames, Sealing
from domain.approval import ApprovalApproved
from domain.event import Recorded
from domain.privacy import ERASED
from infrastructure.cosmos.documents import CosmosDocuments
from infrastructure.sqlite.builds import SqliteBuilds
from infrastructure.sqlite.checkpoints import SqliteCheckpoints
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.documents import SqliteDocuments
from infrastructure.sqlite.personal_keys import SqlitePersonalKeys
from projections.building import Builder, Progress
from projections.ports import MendableDocuments
from projections.projection import Materializer, decoded
from projections.remaking import Remaker
from tests.audit_trail import AuditedLog, audited_log
from tests.builders import LEASE, NOW, OTHER_TENANT, TENANT, SettableClock
from tests.cosmos import Account
from tests.infrastructure.cosmos_places import opened_in, place_in
from tests.projections.stories import PROJECTIONS, approval_story

pytestmark = pytest.mark.anyio

(APPROVALS,) = (each for each in PROJECTIONS if each.container.name == "hitl_approvals")
DECIDER = "ann"
COMMENT = "quite fine by me"


def commented(tenant: str) -> list[Recorded]:
    """An approval that somebody has approved with a comment."""
    requested, approved = approval_story("approve", tenant=tenant)
    assert isinstance(approved.event, ApprovalApproved)
    return [requested, msgspec.structs.replace(approved, event=_with_comment(approved.event))]


def _with_comment(event: ApprovalApproved) -> ApprovalApproved:
    assert event.decided_by == DECIDER
    return msgspec.structs.replace(event, comment=COMMENT)


class Sealed:
    """A log with a commented approval of each of two tenants, and what erases."""

    def __init__(self, log: AuditedLog, keys: SqlitePersonalKeys) -> None:
        self.log = log
        self._keys = keys

    async def erase(self) -> None:
        async def wait() -> None: ...

        async def remake(streams: Sequence[str]) -> None: ...

        stores = self.log.stores
        erasing = Erasing(
            self.log.store, stores.log, stores.index, self._keys, SettableClock(), wait=wait, remake=remake
        )
        (told,) = await erasing.erase(TENANT, DECIDER, None)
        assert told.streams == 1

    async def after(self, position: str | None) -> tuple[list[Recorded], str]:
        batch = await self.log.store.read("log", position, 100)
        assert batch is not None
        return list(batch.events), batch.position


@asynccontextmanager
async def sealed_log(folder: Path) -> AsyncIterator[Sealed]:
    with closing(SqlitePersonalKeys(folder / "keys.db")) as keys:
        sealing = Sealing(Keyring(keys, MasterKey(new_key()), fresh_seconds=0), PersonalNames({}))
        async with audited_log(folder, sealing=sealing) as log:
            for tenant in (TENANT, OTHER_TENANT):
                stored = [log.log.stored(each) for each in commented(tenant)]
                log.log.recorder.insert_events(stored)
            yield Sealed(log, keys)


async def comments(documents: MendableDocuments) -> dict[str, tuple[int, str]]:
    """The version and the comment of each tenant's approval."""
    keys = [(tenant, "a-1") for tenant in (TENANT, OTHER_TENANT)]
    found = await documents.get_many(APPROVALS.container, keys)
    return {key[0]: (each.version, decoded(each.body)["comment"]) for key, each in found.items()}


BEFORE = {TENANT: (2, COMMENT), OTHER_TENANT: (2, COMMENT)}
AFTER = {**BEFORE, TENANT: (2, ERASED)}


async def a_follower_makes_them_again(folder: Path, documents: MendableDocuments) -> None:
    async with sealed_log(folder) as sealed:
        live = Materializer(APPROVALS, documents, Remaker(APPROVALS, documents, sealed.log.store.load))
        events, position = await sealed.after(None)
        await live.handle(events, LEASE)
        assert await comments(documents) == BEFORE
        await sealed.erase()
        assert await comments(documents) == BEFORE
        told, _ = await sealed.after(position)
        for _twice in range(2):
            await live.handle([each for each in told if live.wants(each.event)], LEASE)
            assert await comments(documents) == AFTER


@asynccontextmanager
async def sqlite_documents(folder: Path) -> AsyncIterator[SqliteDocuments]:
    with closing(SqliteDatabase(folder / "documents.db", synchronous="NORMAL")) as database:
        documents = SqliteDocuments(database)
        await documents.create([APPROVALS.container])
        await SqliteCheckpoints(database).create()
        yield documents


async def test_a_follower_makes_documents_in_sqlite_again(tmp_path: Path) -> None:
    async with sqlite_documents(tmp_path) as documents:
        await a_follower_makes_them_again(tmp_path, documents)


@pytest.mark.cosmos
@pytest.mark.filterwarnings("ignore:Unverified HTTPS")
async def test_a_follower_makes_documents_in_cosmos_again(tmp_path: Path, cosmos: Account) -> None:
    async with place_in(cosmos) as place, opened_in(place) as database:
        documents = CosmosDocuments(database)
        await documents.create([APPROVALS.container])
        await a_follower_makes_them_again(tmp_path, documents)


@pytest.mark.parametrize("is_another_process", [False, True])
async def test_a_build_that_was_begun_before_an_erasure_has_nothing_clear_after_it(
    tmp_path: Path, is_another_process: bool
) -> None:
    async with sqlite_documents(tmp_path) as documents, sealed_log(tmp_path) as sealed:
        with closing(SqliteBuilds(tmp_path / "documents.db")) as site:

            async def builder() -> Builder:
                begun: Progress | None = (await site.begin([APPROVALS.container], "one"))[
                    APPROVALS.container.name
                ]
                return Builder(
                    [APPROVALS], sealed.log.store, site, begun=begun, live=documents, now=lambda: NOW
                )

            first = await builder()
            await first.catch_up()
            key = (TENANT, "a-1")
            (built,) = (await site.get_many(APPROVALS.container, [key])).values()
            assert decoded(built.body)["comment"] == COMMENT
            await sealed.erase()
            last = await builder() if is_another_process else first
            await last.catch_up()
            await site.index()
            async with site.locked():
                await site.go_live(last.positions)
        assert await comments(documents) == AFTER
