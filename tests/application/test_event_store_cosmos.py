"""The event log in Cosmos DB: the cases of every log."""

from collections.abc import Iterator

import pytest

from application.event_log import Compared, EventLog
from application.event_store import EventStore
from tests.application.logs import LostAcknowledgement, LostAnswer, OpenLogs, cosmos_settings, open_logs
from tests.application.test_event_store import OTHER_STREAM, EventStoreCases, append, read_all, runs_of
from tests.builders import OTHER_TENANT, TENANT
from tests.cosmos import Account

pytestmark = pytest.mark.anyio


@pytest.mark.cosmos
@pytest.mark.filterwarnings("ignore:Unverified HTTPS")
class TestEventStoreOnCosmos(EventStoreCases):
    @pytest.fixture
    def logs(self, cosmos: Account) -> Iterator[OpenLogs]:
        with open_logs(cosmos_settings(cosmos)) as logs:
            yield logs

    def lost_acknowledgement(self, log: EventLog) -> LostAcknowledgement | LostAnswer:
        return LostAnswer(log)

    async def test_the_log_is_read_in_batches_over_all_streams_in_order(self, store: EventStore) -> None:
        """An order a tenant, without gaps, and none between tenants."""
        await append(store, "a", "b")
        await append(store, "c", stream=OTHER_STREAM)
        await append(store, "d", "e", stream=f"{TENANT}/job/two")
        batches = await read_all(store, limit=3)
        assert [runs_of(batch.events) for batch in batches] == [["a", "b", "d"], ["e"]]
        assert [batch.position.split("-")[1] for batch in batches] == ["3", "4"]
        assert set(await store.partitions()) == {TENANT, OTHER_TENANT}
        (other,) = [await store.read(OTHER_TENANT, None, 3)]
        assert other is not None
        assert other.position.split("-")[1] == "1"
        assert not await store.knows(TENANT, other.position)
        wrong = {TENANT: other.position, OTHER_TENANT: other.position}
        assert await store.compare(wrong) == Compared([TENANT])
        assert await store.compare({**wrong, TENANT: batches[0].position}) == Compared([])
        assert await store.compare({}) == Compared([])
