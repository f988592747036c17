"""Those who ask while something goes on: no answer may lack what one before it had, or show it older."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx

from tests.chaos.decisions import Answered, ask, decide, start_workflow
from tests.harness import ServiceProcess

LISTS = {
    "/api/v1/hitl/approvals": ("approvals", "id"),
    "/api/v1/hitl/approvals?status=pending": ("approvals", None),
    "/api/v1/workflows": ("workflows", "workflowId"),
}
_LIMIT = 100


class Watcher:
    """Reads whole lists over and over; ``faults`` are what should not have been seen."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.answers = 0
        self._seen: dict[str, dict[str, str]] = {}

    async def look(self, client: httpx.AsyncClient) -> None:
        """Ask for every list once."""
        for path, (name, id_field) in LISTS.items():
            answer = await client.get(path, params={"limit": _LIMIT} if "?" not in path else None)
            if answer.status_code != 200:
                self.faults.append(f"{path}: {answer.status_code} {answer.text}")
                continue
            self.answers += 1
            if id_field is not None:
                self._compare(path, answer.json(), name, id_field)

    def _compare(self, path: str, page: dict[str, Any], name: str, id_field: str) -> None:
        documents, seen = page[name], self._seen.setdefault(path, {})
        assert page["total"] <= _LIMIT, "what a test makes is to fit on a page"
        if page["total"] != len(documents):
            self.faults.append(f"{path}: {len(documents)} of {page['total']}")
        now = {each[id_field]: each["updatedAt"] for each in documents}
        for id, updated_at in seen.items():
            if id not in now:
                self.faults.append(f"{path}: {id} was there, and is not")
            elif now[id] < updated_at:
                self.faults.append(f"{path}: {id} was of {updated_at}, and is of {now[id]}")
        seen.update(now)


async def work(client: httpx.AsyncClient, answered: Answered, *, most: int) -> None:
    """Commands, one after the other, until there are so many approvals."""
    for number in range(most):
        approval_id = await ask(client)
        if number % 3:
            await decide(client, approval_id, answered, "approve" if number % 2 else "reject")
        if not number % 4:
            await start_workflow(client, answered)
        await anyio.sleep(0.05)


@asynccontextmanager
async def watched(
    *services: ServiceProcess, answered: Answered, most: int = 30
) -> AsyncIterator[list[Watcher]]:
    """Watchers at every service while commands go on at the first; on leaving all have seen nothing wrong."""
    watchers = [Watcher() for _ in services]

    async def watch(service: ServiceProcess, watcher: Watcher) -> None:
        async with service.async_client() as client:
            while True:
                await watcher.look(client)

    async def command() -> None:
        async with services[0].async_client() as client:
            await work(client, answered, most=most)

    async with anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as commands:
            for service, watcher in zip(services, watchers, strict=True):
                tasks.start_soon(watch, service, watcher)
            commands.start_soon(command)
            yield watchers
        for service, watcher in zip(services, watchers, strict=True):
            async with service.async_client() as client:
                await watcher.look(client)
        tasks.cancel_scope.cancel()
    for watcher in watchers:
        assert watcher.faults == []
        assert watcher.answers > len(LISTS)
