"""One Cosmos DB database: the client, and how each call is retried, bounded in time and measured."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TypeVar

import anyio
from azure.cosmos.aio import CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import (
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)
from tenacity import AsyncRetrying, retry_if_exception, stop_before_delay

from application.side_by_side import all_of
from domain.errors import StoreUnavailable
from infrastructure.cosmos.failures import asked_to_wait, failures_translated, first_line, may_pass
from infrastructure.cosmos.observing import Observe, note_charge, told

T = TypeVar("T")

_IN_HAND = 16
_CONNECT_SECONDS = 3
_ANSWER_SECONDS = 10
_PATIENCE_SECONDS = 10
_LONGEST_CALL_SECONDS = 20.0


class Unusable(Exception):
    """The database or a container exists, but cannot be used as it is. Waiting does not help."""


class CosmosDatabase:
    """A database of an account."""

    def __init__(self, endpoint: str, key: str, database_id: str, *, observe: Observe) -> None:
        self._client = CosmosClient(
            endpoint,
            key,
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=_ANSWER_SECONDS,
            retry_throttle_backoff_max=_PATIENCE_SECONDS,
            no_response_on_write=True,
            # An emulator behind plain HTTP names itself by an address that only it can reach.
            enable_endpoint_discovery=endpoint.startswith("https://"),
            raw_response_hook=note_charge,
        )
        self._database_id = database_id
        self._observe = observe
        self._in_hand = anyio.CapacityLimiter(_IN_HAND)
        self._closed = False

    @property
    def proxy(self) -> DatabaseProxy:
        """The SDK's object for the database, to create containers with."""
        return self._client.get_database_client(self._database_id)

    async def open(self, *, as_it_is: bool = False) -> None:
        """Connect, and create the database if it is absent, unless ``as_it_is``.

        Raises:
            StoreUnavailable: the account does not answer.
            Unusable: the account refuses us, or the database is absent and must not be created.
        """
        try:
            with failures_translated("account"):
                await self._client.__aenter__()
            await self.call("account", "open", self._look if as_it_is else self._make)
        except StoreUnavailable as error:
            refusal = error.__cause__
            if isinstance(refusal, CosmosHttpResponseError) and refusal.status_code in (401, 403):
                raise Unusable(first_line(refusal)) from error
            raise

    async def _make(self) -> None:
        """Create the database. Another instance may create it at the same moment."""
        with suppress(CosmosResourceExistsError):
            await self._client.create_database_if_not_exists(self._database_id)

    async def _look(self) -> None:
        try:
            await self.proxy.read()
        except CosmosResourceNotFoundError as error:
            raise Unusable(f"there is no database {self._database_id}") from error

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        await self._client.close()

    async def call(
        self,
        container: str,
        operation: str,
        work: Callable[[], Awaitable[T]],
        *,
        is_bounded: bool = True,
    ) -> T:
        """Return the result of ``work``, which must be safe to repeat, in bounded time. Unless
        ``is_bounded``, only each request in it is bounded.

        Raises:
            StoreUnavailable: there was no result; the call may or may not have had its effect.
        """
        if self._closed:
            raise StoreUnavailable("Cosmos DB is closed")

        async def attempt() -> T:
            return await work()

        retrying = AsyncRetrying(
            retry=retry_if_exception(may_pass),
            wait=asked_to_wait,
            stop=stop_before_delay(_PATIENCE_SECONDS),
            sleep=anyio.sleep,
            reraise=True,
        )
        with (
            told(self._observe, container, operation),
            failures_translated(container),
            anyio.fail_after(_LONGEST_CALL_SECONDS if is_bounded else None),
        ):
            return await retrying(attempt)

    async def for_each(self, items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
        """Do ``work`` for many items concurrently, up to a limit that holds for the whole database.

        Raises:
            Exception: the first that ``work`` raised; the rest was cancelled.
        """

        async def one(item: T) -> None:
            async with self._in_hand:
                await work(item)

        await all_of(one, items, at_once=_IN_HAND)
