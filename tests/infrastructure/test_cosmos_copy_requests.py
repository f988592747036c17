"""What a copy into Cosmos DB asks for, and how it gets on where the account gives less than it wants."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import run_sync

from application.log_copy import Copied, copy
from application.log_orders import InTenantsOrders, TenantDigests
from config.commands.copy_log import copy_log
from config.commands.cosmos_copies import write_cosmos_log
from config.cosmos import COORDINATION
from config.cosmos_beside import BESIDE
from config.cosmos_stores import KEYS
from config.settings import Settings
from infrastructure.cosmos.log_reader import CosmosLogReader
from infrastructure.cosmos.personal_keys import CosmosPersonalKeys
from infrastructure.cosmos.threaded import ThreadedContainer
from infrastructure.sqlite.personal_keys import SqlitePersonalKeys, keys_file
from tests.cosmos import Account
from tests.cosmos_gate import Gate, Refusal, gate_before
from tests.harness import settings_in
from tests.infrastructure.cosmos_places import Place, opened_in, place_in
from tests.moved_logs import file_of, reading, unseen
from tests.tenants_logs import by_tenant, filled

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos]

_PARTITION = "x-ms-documentdb-partitionkey"


class Behind:
    """A database behind a gate."""

    def __init__(self, gate: Gate, place: Place, settings: Settings) -> None:
        self.gate = gate
        self.place = place
        self.settings = settings

    async def copied_from(self, url: str) -> Copied:
        async with reading(url) as reader, write_cosmos_log(self.settings) as writer:
            return await copy(InTenantsOrders(reader), writer, unseen, TenantDigests)

    async def events(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        async with opened_in(self.place) as database:
            reader = CosmosLogReader(database, "workflow_events", COORDINATION, BESIDE, place="here")
            self.gate.asked.clear()
            async for batch in reader.events():
                for each in batch:
                    row = (each.stream, each.version, each.topic, each.state)
                    found.setdefault(each.stream[0], []).append(row)
        return found


@pytest.fixture
async def behind(plain_cosmos: Account, tmp_path: Path) -> AsyncIterator[Behind]:
    async with gate_before(plain_cosmos) as (gate, account), place_in(plain_cosmos) as place:
        environ: dict[str, Any] = account.environ(place.name)
        yield Behind(gate, Place(account, place.name), settings_in(tmp_path, **environ))


async def test_what_is_read_back_comes_in_large_pages(behind: Behind, tmp_path: Path) -> None:
    source = await filled(f"sqlite:///{tmp_path / 'source' / 'events.db'}", rounds=300)
    await behind.copied_from(source)
    assert await behind.events() == by_tenant(source)
    asked = [each for each in behind.gate.asked if each.method == "POST" and each.partition_key == '["b"]']
    assert len(asked) == 1, "300 events are asked for once, and not by the hundred"


async def test_keys_too_are_written_once_a_throttling_account_takes_them(
    behind: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.cosmos.threaded._PATIENCE_SECONDS", 0.3)
    tries = 0

    def throttled(headers: Mapping[str, str]) -> Refusal | None:
        nonlocal tries
        if "x-ms-cosmos-is-batch-request" not in headers or '"keys"' not in str(headers.get(_PARTITION)):
            return None
        tries += 1
        return Refusal(429, {"x-ms-retry-after-ms": "100"}) if tries < 7 else None

    source = await filled(f"sqlite:///{tmp_path / 'source' / 'events.db'}", rounds=1)
    given = [(f"k{n}", "a", f"subject-{n}", b"wrapped") for n in range(3)]
    with closing(SqlitePersonalKeys(keys_file(file_of(source)))) as keys:
        keys.add(given)
    behind.gate.refuses = throttled
    await copy_log(behind.settings, source, "cosmos://")
    account = behind.place.account
    container = await run_sync(ThreadedContainer, account.endpoint, account.key, behind.place.name, KEYS, {})
    with closing(CosmosPersonalKeys(container)) as there:
        assert await run_sync(there.all) == given
    assert tries == 7


@pytest.mark.parametrize("is_of_an_operation", [False, True], ids=["the request", "an operation of it"])
async def test_a_throttled_copy_waits_and_nothing_is_lost_or_doubled(
    behind: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_of_an_operation: bool
) -> None:
    """Of each partition's transactions every third is throttled, and in one for longer than a call waits."""
    monkeypatch.setattr("infrastructure.cosmos.threaded._PATIENCE_SECONDS", 0.3)
    sent: Counter[str] = Counter()

    def throttled(headers: Mapping[str, str]) -> Refusal | None:
        if "x-ms-cosmos-is-batch-request" not in headers:
            return None
        partition = headers[_PARTITION]
        sent[partition] += 1
        if sent[partition] % 3 == 1 or (partition == '["b"]' and sent[partition] < 5):
            return Refusal(429, {"x-ms-retry-after-ms": "100"}, is_of_an_operation=is_of_an_operation)
        return None

    behind.gate.refuses = throttled
    source = await filled(f"sqlite:///{tmp_path / 'source' / 'events.db'}", rounds=120)
    copied = await behind.copied_from(source)
    assert (copied.target, copied.target.count) == (copied.source, 361)
    outbox = BESIDE.place("outbox", "a")
    assert {'["a"]', '["b"]', '["c"]', f'["{outbox}"]'} < sent.keys()
    assert await behind.events() == by_tenant(source)
