"""A million events: indexed, exported in flat memory, verified offline and in the store.

``python -m benchmarks.audit_million [--events N] [--postgres]``. The events, of one tenant, are written in
bulk through the service's own mapper and recorder, and exported by the command line's own code and over REST
from a running service. Prints a line a step: seconds, events a second, and how the resident size of the
process that did it went.
"""

import argparse
import asyncio
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx

from benchmarks.stores import migrated_database, postgres_server
from config.audit_commands import verify_export_file, verify_live
from domain.approval import ApprovalCommented
from domain.event import Metadata, Recorded
from tests.audit_trail import AuditedLog, audited_log, stream
from tests.builders import LEASE, NOW, TENANT, USER
from tests.harness import service_process

A_STREAM = 50
AT_ONCE = 1_000
SAMPLE_SECONDS = 0.25


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--postgres", action="store_true")
    given = parser.parse_args()
    asyncio.run(measure(given.events, given.postgres))


async def measure(events: int, on_postgres: bool) -> None:
    """Every step on one store."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="audit-")))
        url = None
        if on_postgres:
            server = stack.enter_context(postgres_server(slow_disk_us=0))
            url = stack.enter_context(migrated_database(server, Path.cwd()))
        log = await stack.enter_async_context(audited_log(folder, url))
        with step("written in bulk", events):
            fill(log, events)
        with step("indexed", events):
            await log.follower(batch_size=AT_ONCE).catch_up(LEASE)
        await log.anchoring().anchor(LEASE)
        with step("exported", events):
            file = await log.export()
        size = file.stat().st_size
        print(f"  {size / 1e6:,.0f} MB, {size / events:,.0f} bytes an event")
        with step("verified the export offline", events):
            assert verify_export_file(file, [log.public_key], [log.anchor_file], as_json=False)
        with step("verified the store", events):
            assert await verify_live(log.settings, [log.public_key], [log.anchor_file], as_json=False)
        if url is None:
            await over_rest(folder, events)


async def over_rest(folder: Path, events: int) -> None:
    """The same export out of a running service, which has nothing else to do but its projections."""
    with service_process(folder, SERVICE_ROLES="api,consumer,projector,publisher,scheduler") as process:
        await asyncio.sleep(5)
        with step("exported over REST", events, process.pid):
            lines = 0
            async with taken(process.url) as parts:
                async for part in parts:
                    lines += part.count(b"\n")
        assert lines == events + 2, lines


@asynccontextmanager
async def taken(url: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """An export's bytes."""
    async with (
        httpx.AsyncClient(headers={"X-Tenant-ID": TENANT}, timeout=600) as client,
        client.stream("GET", f"{url}/api/v1/audit/export") as answer,
    ):
        yield answer.aiter_raw()


def fill(log: AuditedLog, events: int) -> None:
    """Comments on approvals, fifty each."""
    batch = []
    for number in range(events):
        of, version = divmod(number, A_STREAM)
        batch.append(log.log.stored(comment(of, version + 1)))
        if len(batch) == AT_ONCE or number == events - 1:
            log.log.recorder.insert_events(batch)
            batch = []


def comment(number: int, version: int) -> Recorded:
    """One event."""
    return Recorded(
        stream=stream(TENANT, number),
        version=version,
        timestamp=NOW + timedelta(milliseconds=number * A_STREAM + version),
        meta=Metadata(
            tenant=TENANT,
            actor=USER,
            correlation_id=str(UUID(int=(number << 64) + version)),
            command_id=str(UUID(int=(version << 64) + number)),
        ),
        event=ApprovalCommented(
            approval_id=str(UUID(int=number)),
            by=USER,
            at=NOW,
            text=f"What was said in comment {version}. " * 4,
        ),
    )


@contextmanager
def step(what: str, events: int, pid: int | None = None) -> Iterator[None]:
    """Time a step, and watch the resident size meanwhile."""
    sizes: list[float] = []
    stopping = threading.Event()

    def watch() -> None:
        while not stopping.wait(SAMPLE_SECONDS):
            pages = int(Path(f"/proc/{pid or 'self'}/statm").read_text().split()[1])
            sizes.append(pages * 4096 / 1e6)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - began
        stopping.set()
        watching.join()
    fifths = [sizes[len(sizes) * part // 5] for part in range(5)] + sizes[-1:] if sizes else []
    resident = ", ".join(f"{size:.0f}" for size in fifths)
    print(
        f"{what}: {seconds:.1f} s, {events / seconds:,.0f} events/s; resident MB on the way: {resident}",
        flush=True,
    )


if __name__ == "__main__":
    main()
