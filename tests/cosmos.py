"""A Cosmos DB server for tests: a given account, or else the emulator in ``cosmos_emulator``."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

import msgspec
from azure.cosmos.aio import CosmosClient

from tests.npm import node_for

EMULATOR = Path(__file__).parent / "cosmos_emulator"
ANY_KEY = "YW55IGtleSB3aWxsIGRv"
"""The emulator here accepts every key that is base64."""


class Account(msgspec.Struct, frozen=True):
    """The address of a Cosmos DB account. ``is_real`` means that it may be billed."""

    endpoint: str
    key: str
    is_real: bool = False

    def environ(self, database: str) -> dict[str, str]:
        """Return the environment variables with which a service stores its documents there."""
        return {
            "COSMOS_DB_ENDPOINT": self.endpoint,
            "COSMOS_DB_KEY": self.key,
            "COSMOS_DB_DATABASE_ID": database,
        }


@contextmanager
def cosmos_account() -> Iterator[Account]:
    """Yield the account in ``COSMOS_TEST_ENDPOINT`` and ``COSMOS_TEST_KEY``, or else an own emulator."""
    if given := os.environ.get("COSMOS_TEST_ENDPOINT"):
        yield Account(given, os.environ["COSMOS_TEST_KEY"], ".documents.azure." in given)
    else:
        with own_emulator("--tls") as account:
            yield account


@contextmanager
def own_emulator(*arguments: str) -> Iterator[Account]:
    """Yield a new, empty emulator. Without ``--tls`` it uses plain HTTP."""
    with emulator_process(*arguments) as (account, _):
        yield account


@contextmanager
def emulator_process(*arguments: str) -> Iterator[tuple[Account, "subprocess.Popen[str]"]]:
    """Yield a new emulator with the process that has its data, which can be suspended."""
    node = node_for(EMULATOR, "the emulator of Cosmos DB")
    with subprocess.Popen(
        [node, "server.js", "0", *arguments],
        cwd=EMULATOR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        ready, _, port = process.stdout.readline().partition(" ")
        assert ready == "READY", "the Cosmos DB emulator did not start"
        scheme = "https" if "--tls" in arguments else "http"
        try:
            yield Account(f"{scheme}://127.0.0.1:{port.strip()}", ANY_KEY), process
        finally:
            process.kill()


def fresh_database() -> str:
    """Return a new name for a database."""
    return f"test_{uuid4().hex}"


@asynccontextmanager
async def dropped_afterwards(account: Account, database: str) -> AsyncIterator[None]:
    """Drop a database at the end, because it costs money on a real account."""
    try:
        yield
    finally:
        async with administrator(account) as client:
            names = [each["id"] async for each in client.list_databases()]
            if database in names:
                await client.delete_database(database)


@asynccontextmanager
async def administrator(account: Account) -> AsyncIterator[CosmosClient]:
    """Yield a client that reads the data directly, without the service."""
    client = CosmosClient(
        account.endpoint, account.key, enable_endpoint_discovery=account.endpoint.startswith("https://")
    )
    async with client:
        yield client
