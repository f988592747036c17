"""How fast ended approvals are archived and restored, and how much space that frees.

``python -m benchmarks.archives [--postgres URL-OF-A-SERVER] [--approvals 10000]``. Each approval has four
events: it is requested, commented on twice and rejected.
"""

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import UUID

import psycopg

from config.commands.archives import archive, restore
from domain.approval import ApprovalCommented, ApprovalRejected, ApprovalRequested, approval_stream
from domain.event import Event, Recorded
from infrastructure.postgres.schema import migrate
from tests.audit_trail import AuditedLog, audited_log
from tests.builders import NOW, TENANT, USER, metadata
from tests.postgres import fresh_database


async def measure(folder: Path, url: str | None, approvals: int) -> None:
    """Print the times and sizes."""
    async with audited_log(folder, url) as log:
        _fill(log, approvals)
        began = time.perf_counter()
        await log.index(batch_size=1_000)
        print(f"indexed in {time.perf_counter() - began:.1f} s", flush=True)
        settings = log.settings
    before, states = _size(folder, url), _states(folder, url)
    began = time.perf_counter()
    await archive(settings, folder / "out", older_than="0s", tenant=None, reason=None, dry_run=False)
    took = time.perf_counter() - began
    after, left = _size(folder, url), _states(folder, url)
    events = approvals * 4
    files = sorted((folder / "out").iterdir())
    packed = sum(file.stat().st_size for file in files)
    print(
        f"{events:,} events in {took:.1f} s, {events / took:,.0f} a second; states {states:,} bytes,"
        f" then {left:,}; the log {before:,}, then {after:,}; {len(files)} files, {packed:,} bytes"
    )
    began = time.perf_counter()
    for file in files:
        await restore(settings, [file], ())
    print(f"restored in {time.perf_counter() - began:.1f} s")


def _fill(log: AuditedLog, approvals: int) -> None:
    for number in range(approvals):
        id = str(UUID(int=number))
        events: list[Event] = [
            ApprovalRequested(
                approval_id=id,
                opportunity_id=f"opp-{number}",
                risk_score=0.9,
                amount=250_000,
                requested_at=NOW,
                subject="a discount beyond what the price list allows",
                payload={
                    "discount": 0.3,
                    "region": "EMEA",
                    "products": ["crm", "erp"],
                    "note": "as agreed " * 20,
                },
            ),
            ApprovalCommented(approval_id=id, by=USER, text="a closer look is needed here " * 8, at=NOW),
            ApprovalCommented(approval_id=id, by=USER, text="the customer has answered " * 8, at=NOW),
            ApprovalRejected(
                approval_id=id,
                opportunity_id=f"opp-{number}",
                decided_by=USER,
                decided_at=NOW,
                comment="too risky for this year",
            ),
        ]
        log.log.ours.append_together(
            [
                [
                    log.log.stored(
                        Recorded(
                            stream=approval_stream(TENANT, id),
                            version=version,
                            timestamp=NOW,
                            meta=metadata(),
                            event=event,
                        )
                    )
                    for version, event in enumerate(events, start=1)
                ]
            ]
        )


def _size(folder: Path, url: str | None) -> int:
    if url is None:
        return sum(file.stat().st_size for file in (folder / "data").glob("events.db*"))
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_total_relation_size('workflow_orchestrator_events')").fetchone()
    assert row is not None
    return int(row[0])


def _states(folder: Path, url: str | None) -> int:
    if url is None:
        with closing(sqlite3.connect(folder / "data" / "events.db")) as file, file:
            return int(file.execute("SELECT sum(length(state)) FROM stored_events").fetchone()[0])
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT sum(length(state)) FROM workflow_orchestrator_events").fetchone()
    assert row is not None
    return int(row[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on SQLite, and on PostgreSQL if a server is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", help="the URL of a server, where a database is made and dropped")
    parser.add_argument("--approvals", type=int, default=10_000)
    chosen = parser.parse_args(arguments)
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        asyncio.run(measure(folders[0], None, chosen.approvals))
        if chosen.postgres:
            url = stack.enter_context(fresh_database(chosen.postgres))
            migrate(url)
            asyncio.run(measure(folders[1], url, chosen.approvals))


if __name__ == "__main__":
    main()
