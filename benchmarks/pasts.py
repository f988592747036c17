"""Creates logs with many events quickly, by copying events that a service has written.

A service of the measured tree handles one approval, one workflow and one run of a job. Its rows are copied
into its SQLite file with new IDs, times and tenants. A service then follows the whole log, so that documents,
positions and timers are its own. Nothing here uses the service's code, so this works for the events of any
commit. Each past is created once per run of the programs, and copied for each use.
"""

import random
import re
import shutil
import sqlite3
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import aio_pika
import anyio
import httpx

from benchmarks.rabbit_stand_ins import workflows_a_second
from benchmarks.service import TENANT, USER, RunningService, run_command, running_service
from benchmarks.stand_ins import message
from benchmarks.stores import broker
from tests.neighbours import Names

SYSTEM_TENANT = "00000000-0000-0000-0000-000000000001"
JOB = "outcome-sync"
_APPROVALS_A_WORKFLOW = 5
"""An approval has two events and a workflow ten, so half of the events are of each."""

_BLOCKS_A_TENANT = 50
_CATCH_UP_SECONDS = 1_800.0
_APART = timedelta(milliseconds=20)
_KEPT = {TENANT, USER, SYSTEM_TENANT}
_VARIABLE = re.compile(
    rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
)


@dataclass(frozen=True)
class Past:
    """The size of a past: the approximate number of events, and how many belong where."""

    events: int
    approvals_of_tenant: int = 10
    """Approvals of ``TENANT``. Everything else belongs to tenants that are not measured."""

    job_events: int = 3
    """Additional events, all in the stream of ``JOB``."""


class _Row(NamedTuple):
    """A stored event as a template, with placeholders for IDs and times."""

    stream: bytes
    version: int
    topic: str
    state: bytes
    stream_names: list[bytes]
    state_names: list[bytes]


@contextmanager
def past_of(root: Path, past: Past) -> Iterator[Path]:
    """Yield a copy of a data directory with that past, which all followers have handled."""
    kept = _made(root, past)
    with tempfile.TemporaryDirectory(prefix="past-") as folder:
        data = Path(folder, "data")
        shutil.copytree(kept, data)
        yield data


def moved_to_postgresql(root: Path, data: Path, url: str) -> None:
    """Copy a past's log into a migrated database, with its positions and timers."""
    run_command(root, "copy-log", "--from", f"sqlite:///{data}/events.db", "--to", url, DATA_DIR=str(data))


def until_caught_up(service: RunningService, seconds: float = _CATCH_UP_SECONDS) -> None:
    """Wait until all followers have reached the end of the log."""
    deadline = time.monotonic() + seconds
    while True:
        followers = httpx.get(f"{service.url}/ready", timeout=30).json()["checks"]["followers"]
        if followers and all(each["status"] == "running" for each in followers):
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"the followers did not catch up: {followers}")
        time.sleep(0.05)


@cache
def _kept_until_the_end() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="pasts-")


@cache
def _made(root: Path, past: Past) -> Path:
    data = Path(_kept_until_the_end().name, uuid4().hex)
    shutil.copytree(_seed(root), data)
    _multiply(data / "events.db", past)
    with running_service(root, {"LOG_LEVEL": "warning"}, data_dir=data) as service:
        until_caught_up(service)
    return data


@cache
def _seed(root: Path) -> Path:
    """Return a data directory with the events of one approval, one workflow and one run of a job."""
    data = Path(_kept_until_the_end().name, uuid4().hex)
    data.mkdir()
    with (
        broker() as (url, names),
        running_service(root, {"RABBITMQ_URL": url}, overlay=names.overlay(), data_dir=data) as service,
    ):
        anyio.run(workflows_a_second, url, names, 1, 1)
        with httpx.Client(base_url=f"{service.url}/api/v1", headers={"X-Tenant-ID": TENANT}) as client:
            asked = {
                "opportunityId": str(uuid4()),
                "riskScore": 0.87,
                "amount": 250_000,
                "ownerId": str(uuid4()),
            }
            approval = client.post("/hitl/approvals", json=asked).raise_for_status().json()["id"]
            decision = {"decidedBy": USER, "comment": "strategic account"}
            client.post(f"/hitl/approvals/{approval}/approve", json=decision).raise_for_status()
            run = {"metadata": {"from": "2026-01-01", "to": "2026-01-31"}}
            system = {"X-Tenant-ID": SYSTEM_TENANT}
            client.post(f"/jobs/{JOB}/trigger", json=run, headers=system).raise_for_status()
            _until_published(client)
        anyio.run(_report_the_run, url, names)
        until_caught_up(service)
        deadline = time.monotonic() + 15
        while sum(map(len, _templates(data / "events.db").values())) < 15:
            if time.monotonic() > deadline:
                raise RuntimeError("the run of the job was not completed")
            time.sleep(0.05)
    return data


def _until_published(client: httpx.Client) -> None:
    """Wait until the publication of the trigger is recorded. A run that is reported earlier has one event
    less."""
    system, deadline = {"X-Tenant-ID": SYSTEM_TENANT}, time.monotonic() + 15
    path = f"/jobs/{JOB}/runs?status=published"
    while not client.get(path, headers=system).json()["runs"]:
        if time.monotonic() > deadline:
            raise RuntimeError("the job's trigger was not published")
        time.sleep(0.05)


async def _report_the_run(url: str, names: Names) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(names.exchange)
        data = {"job": JOB, "status": "success", "completedAt": "2026-11-26T01:00:00.000Z"}
        body = message("workflow.job.completed", SYSTEM_TENANT, data)
        await exchange.publish(aio_pika.Message(body), "workflow.job.completed")


def _multiply(file: Path, past: Past) -> None:
    """Write the copies after the original events."""
    templates = _templates(file)
    dice = random.Random(past.events)
    blocks = past.events // (len(templates["workflow"]) + _APPROVALS_A_WORKFLOW * len(templates["approval"]))
    approvals = blocks * _APPROVALS_A_WORKFLOW

    def rows() -> Iterator[tuple[str, int, str, bytes]]:
        done = 0
        for block in range(blocks):
            other = str(UUID(int=block // _BLOCKS_A_TENANT, version=4))
            back = (blocks - block) * _APART
            yield from _copy(templates["workflow"], dice, other, back)
            for _ in range(_APPROVALS_A_WORKFLOW):
                ours = done * past.approvals_of_tenant // approvals
                done += 1
                is_ours = done * past.approvals_of_tenant // approvals > ours
                yield from _copy(templates["approval"], dice, TENANT if is_ours else other, back)
        runs = (past.job_events - len(templates["job"])) // len(templates["job"])
        for number in range(1, runs + 1):
            for stream, version, topic, state in _copy(templates["job"], dice, SYSTEM_TENANT, timedelta()):
                yield stream, version + number * len(templates["job"]), topic, state

    statement = (
        "INSERT INTO stored_events (originator_id, originator_version, topic, state) VALUES (?, ?, ?, ?)"
    )
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.executemany(statement, rows())


def _templates(file: Path) -> dict[str, list[_Row]]:
    """Return the original rows by category, which is the second part of a stream's name."""
    found: defaultdict[str, list[_Row]] = defaultdict(list)
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT originator_id, originator_version, topic, state FROM stored_events ORDER BY rowid"
        ).fetchall()
    for stream, version, topic, state in rows:
        named, stream_names = _with_places(stream.encode())
        body, state_names = _with_places(state)
        found[stream.split("/")[1]].append(_Row(named, version, topic, body, stream_names, state_names))
    return dict(found)


def _with_places(text: bytes) -> tuple[bytes, list[bytes]]:
    return _VARIABLE.sub(b"%b", text.replace(b"%", b"%%")), _VARIABLE.findall(text)


def _copy(
    template: list[_Row], dice: random.Random, tenant: str, back: timedelta
) -> Iterator[tuple[str, int, str, bytes]]:
    """Yield the rows of a copy, with new IDs and earlier times."""
    values: dict[bytes, bytes] = {TENANT.encode(): tenant.encode()}

    def value(name: bytes) -> bytes:
        found = values.get(name)
        if found is None:
            found = values[name] = _fresh(name.decode(), dice, back).encode()
        return found

    for row in template:
        yield (
            (row.stream % tuple(map(value, row.stream_names))).decode(),
            row.version,
            row.topic,
            row.state % tuple(map(value, row.state_names)),
        )


def _fresh(name: str, dice: random.Random, back: timedelta) -> str:
    if name in _KEPT:
        return name
    if name.endswith("Z"):
        earlier = datetime.fromisoformat(name) - back
        return f"{earlier.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
    return str(UUID(int=dice.getrandbits(128), version=4))
