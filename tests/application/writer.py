"""A process that appends, from a line on stdin on.

``python -m tests.application.writer <url> <name> <commands>``: two writers at once, two events a command;
every fifth command goes to a stream that all processes share.
"""

import sys

import anyio

from application.event_store import EventStore
from domain import job
from domain.event import Event
from domain.job import BatchJob, JobFired
from tests.application.logs import open_logs, postgres_settings
from tests.builders import NOW, TENANT, metadata

WRITERS = 2
SHARED = f"{TENANT}/job/shared"


async def write(store: EventStore, name: str, commands: int) -> None:
    """One writer's commands, one after the other."""
    for number in range(commands):
        runs = [f"{name}-{number}-{each}" for each in range(2)]

        def decide(state: BatchJob | None, runs: list[str] = runs) -> list[Event]:
            return [
                JobFired(job="j", run_id=run, triggered_by="manual", fired_at=NOW, metadata={})
                for run in runs
            ]

        stream = SHARED if number % 5 == 0 else f"{TENANT}/job/{name}"
        await store.execute(stream, evolve=job.evolve, decide=decide, meta=metadata(), now=NOW)


async def main(url: str, name: str, commands: int) -> None:
    """Connect, say so, wait for the word, write."""
    with open_logs(postgres_settings(url)) as logs:
        store = logs.store()
        await store.ping()
        print("ready", flush=True)
        sys.stdin.readline()
        async with anyio.create_task_group() as group:
            for writer in range(WRITERS):
                group.start_soon(write, store, f"{name}.{writer}", commands)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]))
