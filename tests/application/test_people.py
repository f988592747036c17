"""Who decides for whom, as it is looked up for a decision."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from application.event_store import EventStore
from application.pasts import Past
from application.people import PeopleLookup
from domain.delegation import Delegation, Delegations
from infrastructure.directory.listed import ListedDirectory
from tests.harness import TENANT

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
BOB_FOR_THE_BOSS = Delegations(
    {
        "d": Delegation(
            delegation_id="d",
            by="boss",
            to="bob",
            starts_at=NOW - timedelta(hours=1),
            ends_at=NOW + timedelta(hours=1),
        )
    }
)


class SlowStore(EventStore):
    """Answers, once it is let go on, with what was so when it was asked."""

    def __init__(self) -> None:
        self.state: Delegations | None = BOB_FOR_THE_BOSS
        self.is_asked = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def present(self, stream: str, evolve: Callable[[Any, Any], Any]) -> Past:
        """What the stream had come to."""
        past = Past(version=1, state=self.state)
        self.is_asked.set()
        await self.may_go_on.wait()
        return past


async def test_a_delegation_that_ends_while_it_is_looked_up_counts_no_longer() -> None:
    store = SlowStore()
    people = PeopleLookup(store, ListedDirectory(lambda _: {}))
    before = asyncio.create_task(people.principals_of(TENANT, "bob", NOW))
    await store.is_asked.wait()
    store.state = None
    people.forget(TENANT)
    store.may_go_on.set()
    assert await before == {"boss"}
    assert await people.principals_of(TENANT, "bob", NOW) == set()
