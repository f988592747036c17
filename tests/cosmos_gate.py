"""A proxy in front of a Cosmos DB server, which records each request and answers some itself.

Its answers are those that the real service documents for throttling and outages, which an emulator does not
give.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import anyio
import msgspec
from aiohttp import ClientSession, web

from tests.cosmos import Account

HOP_BY_HOP = {"connection", "content-encoding", "content-length", "host", "transfer-encoding"}

_FAILED_WITH_ANOTHER = 424


class Asked(msgspec.Struct, frozen=True):
    """A request for items."""

    method: str
    path: str
    partition_key: str | None
    crosses_partitions: bool
    status: int


class Refusal(msgspec.Struct, frozen=True):
    """An answer instead of the server's."""

    status: int
    headers: dict[str, str] = {}
    is_of_an_operation: bool = False
    """Whether only the first operation of a batch is refused: then the others fail too, but not the
    request."""
    is_done: bool = False
    """Whether the server handles the request first, and only its answer is replaced."""

    def answer(self, operations: int) -> web.Response:
        """Return the response in the form of the service, for a batch of operations or for another
        request."""
        if not self.is_of_an_operation:
            told = {"code": str(self.status), "message": "refused by the gate"}
            return web.json_response(told, status=self.status, headers=self.headers)
        statuses = [self.status, *[_FAILED_WITH_ANOTHER] * (operations - 1)]
        results = [{"statusCode": status, "requestCharge": 0} for status in statuses]
        return web.json_response(results, status=207, headers=self.headers)


class Gate:
    """Passes on requests unless there is a refusal for them."""

    def __init__(self, behind: str) -> None:
        self.asked: list[Asked] = []
        self.refusals: list[Refusal] = []
        self.refuses_everything: Refusal | None = None
        self.refuses: Callable[[Mapping[str, str]], Refusal | None] = lambda headers: None
        """Called with the headers of each request for items."""
        self.holds_back_seconds = 0.0
        self._behind = behind

    async def handle(self, request: web.Request) -> web.Response:
        """Refuse a request for items, or pass it on."""
        await anyio.sleep(self.holds_back_seconds)
        is_for_items = "/docs" in request.path
        refusal = self.refuses_everything
        if refusal is None and is_for_items and self.refusals:
            refusal = self.refusals.pop(0)
        if refusal is None and is_for_items:
            refusal = self.refuses(request.headers)
        if refusal is not None:
            if refusal.is_done:
                await self._hand_on(request)
            answer = refusal.answer(len(await request.json()) if refusal.is_of_an_operation else 0)
        else:
            answer = await self._hand_on(request)
        if is_for_items:
            headers = request.headers
            crosses = headers.get("x-ms-documentdb-query-enablecrosspartition", "false")
            self.asked.append(
                Asked(
                    request.method,
                    request.path,
                    headers.get("x-ms-documentdb-partitionkey"),
                    crosses.lower() == "true",
                    answer.status,
                )
            )
        return answer

    async def _hand_on(self, request: web.Request) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        async with (
            ClientSession(auto_decompress=True) as session,
            session.request(
                request.method,
                f"{self._behind}{request.rel_url}",
                headers=headers,
                data=await request.read(),
            ) as answer,
        ):
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            kept.pop("Content-Type", None)
            return web.Response(
                body=await answer.read(),
                status=answer.status,
                headers=kept,
                content_type=answer.content_type,
            )


@asynccontextmanager
async def gate_before(account: Account, port: int = 0) -> AsyncIterator[tuple[Gate, Account]]:
    """Yield a gate, and the account with the gate's address."""
    gate = Gate(account.endpoint)
    runner = web.AppRunner(_application(gate), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    listening = runner.addresses[0][1]
    try:
        yield gate, Account(f"http://127.0.0.1:{listening}", account.key)
    finally:
        await runner.cleanup()


def _application(gate: Gate) -> web.Application:
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", gate.handle)
    return application
