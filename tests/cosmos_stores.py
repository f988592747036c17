"""Everything over a log in Cosmos DB, as a setting is to put it together. Documents are in SQLite."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import cast

from anyio.to_thread import run_sync

from application.audit.anchoring import Anchoring
from application.policies.approval_timers import ApprovalTimers
from application.policies.http_steps import HttpSteps
from application.policies.job_timers import JobTimers
from application.policies.runs import Runs
from application.policies.task_leases import TaskLeaseTimers
from application.policies.wait_steps import WaitSteps
from application.policies.workflow_timers import WorkflowTimers
from application.privacy.ciphers import MasterKey
from application.privacy.keyring import Keyring
from application.privacy.sealing import PersonalNames, Sealing
from config.audit_stores import AuditStores
from config.privacy import PersonalParts, master_key_of
from config.settings import Settings
from config.stores import Stores, open_log, store_over
from infrastructure.cosmos import personal_keys, snapshots
from infrastructure.cosmos.anchor_book import CosmosAnchorBook
from infrastructure.cosmos.audit_index import CosmosAuditIndex
from infrastructure.cosmos.event_store import cosmos_log_settings
from infrastructure.cosmos.leases import CosmosLeases
from infrastructure.cosmos.personal_keys import CosmosPersonalKeys
from infrastructure.cosmos.positions import CosmosPositions
from infrastructure.cosmos.recorder import CosmosLogRecorder
from infrastructure.cosmos.snapshots import CosmosSnapshots
from infrastructure.cosmos.step_calls import CosmosStepCalls
from infrastructure.cosmos.stored_log import CosmosStoredLog
from infrastructure.cosmos.threaded import ThreadedContainer
from infrastructure.cosmos.timers import CosmosTimers
from infrastructure.cosmos.wakeups import CosmosWakeups
from infrastructure.memory.leases import LocalLeases
from infrastructure.sqlite.checkpoints import SqliteCheckpoints
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.documents import SqliteDocuments
from interfaces.scheduling.timers import TimerLoop
from projections.ports import Container
from tests.infrastructure.cosmos_places import COORDINATION, Place, opened_in

EVENTS = "workflow_events"

SETTERS = [
    each.name for each in (WorkflowTimers, WaitSteps, Runs, TaskLeaseTimers, JobTimers, ApprovalTimers)
]


def stores_in(place: Place) -> Callable[..., Awaitable[Stores]]:
    """What opens them, in place of ``config.stores.open_stores``."""

    async def open_stores(
        settings: Settings, containers: Sequence[Container], stack: AsyncExitStack, **_: object
    ) -> Stores:
        settings.storage.data_dir.mkdir(parents=True, exist_ok=True)
        database = await stack.enter_async_context(opened_in(place))
        leases = CosmosLeases(database, COORDINATION)
        await leases.create()
        account = place.account

        async def container(name: str, policy: dict[str, object]) -> ThreadedContainer:
            opened = await run_sync(
                ThreadedContainer, account.endpoint, account.key, place.name, name, policy
            )
            stack.callback(opened.close)
            return opened

        personal = await _personal(settings, await container("workflow_keys", personal_keys.POLICY))
        log = await open_log(
            cosmos_log_settings(account.endpoint, account.key, database=place.name, container=EVENTS),
            personal,
        )
        recorder = cast(CosmosLogRecorder, log.recorder)
        kept = CosmosSnapshots(await container("workflow_snapshots", snapshots.POLICY), recorder.partitions)
        store = await store_over(log, stack, snapshots=kept, threads=4)
        file = SqliteDatabase(settings.storage.data_dir / "documents.db", synchronous="NORMAL")
        stack.callback(file.close)
        documents, positions = SqliteDocuments(file), SqliteCheckpoints(file)
        await documents.create(containers)
        await positions.create()
        return Stores(
            store,
            documents,
            positions,
            CosmosPositions(database, COORDINATION),
            CosmosTimers(database, COORDINATION, setters=SETTERS, clock=TimerLoop.name),
            CosmosStepCalls(database, COORDINATION, HttpSteps.name),
            leases,
            LocalLeases(),
            AuditStores(
                CosmosStoredLog(database, EVENTS),
                CosmosAuditIndex(database, EVENTS),
                CosmosAnchorBook(database, COORDINATION, Anchoring.name),
                None,
            ),
            personal,
            CosmosWakeups(store, recorder, database, COORDINATION, settings.storage.data_dir.parent.name),
        )

    return open_stores


async def _personal(settings: Settings, container: ThreadedContainer) -> PersonalParts:
    keys = CosmosPersonalKeys(container)
    given = master_key_of(settings, makes_one=True)
    assert given is not None
    keyring = Keyring(keys, MasterKey(given), fresh_seconds=settings.privacy.fresh_seconds)
    return PersonalParts(keys, Sealing(keyring, PersonalNames(settings.privacy.personal_fields)))
