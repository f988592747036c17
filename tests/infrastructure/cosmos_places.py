"""Databases in Cosmos DB of a test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.leases import CosmosLeases
from tests.cosmos import Account, dropped_afterwards, fresh_database

COORDINATION = "workflow_coordination"

Observed = tuple[str, str, float, float]


class Place(msgspec.Struct):
    """A database of a test's own."""

    account: Account
    name: str


@asynccontextmanager
async def place_in(account: Account) -> AsyncIterator[Place]:
    """A database that is not there yet, and not there afterwards."""
    name = fresh_database()
    async with dropped_afterwards(account, name):
        yield Place(account, name)


@asynccontextmanager
async def place_with_leases(account: Account) -> AsyncIterator[Place]:
    """The same, with the container of leases in it, as a service would have made it."""
    async with place_in(account) as place, opened_in(place) as database:
        await CosmosLeases(database, COORDINATION).create()
        yield place


@asynccontextmanager
async def opened_in(place: Place, observed: list[Observed] | None = None) -> AsyncIterator[CosmosDatabase]:
    """The database of a place, opened; ``observed`` takes what it tells of its calls."""

    def observe(container: str, operation: str, charge: float, seconds: float) -> None:
        if observed is not None:
            observed.append((container, operation, charge, seconds))

    database = CosmosDatabase(place.account.endpoint, place.account.key, place.name, observe=observe)
    try:
        await database.open()
        yield database
    finally:
        await database.close()
