"""Operations on a log of a million events: rebuild, verify, export and erase.

``python -m benchmarks.million [--events N] [--postgres]``. The events are made by a real service over HTTP: a
hundred people create, comment on and decide approvals of many deals, so that values are sealed with thousands
of keys. Then the command line is used as by an operator. Prints a line per step: seconds, events per second,
and the course of the resident memory of the process that did it.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from benchmarks.load import APPROVALS, request_of, send
from benchmarks.pasts import until_caught_up
from benchmarks.service import (
    TENANT,
    RunningService,
    environment,
    prepared_service,
    resident_mib,
    run_command,
)
from benchmarks.stores import broker, migrated_database, postgres_server

PEOPLE = 100
DEALS = 10_000
COMMENTS = 7
EVENTS_OF_ONE = 2 + COMMENTS
"""The events of one approval: it is requested, commented on, and decided."""

AT_ONCE = 1_000
CONNECTIONS = 32
SAMPLE_SECONDS = 0.25
ANCHORS = "anchors.ndjson"
ROOT = Path.cwd()


def main() -> None:
    """Measure on a new log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--postgres", action="store_true")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="million-")))
        run_command(ROOT, "audit", "keygen", str(folder / "audit.pem"))
        environ = {
            "AUDIT_SIGNING_KEY_FILE": str(folder / "audit.pem"),
            "AUDIT_ANCHOR_FILE": str(folder / ANCHORS),
            "AUDIT_ANCHOR_EVERY_SECONDS": "10",
            "LOG_LEVEL": "warning",
        }
        overlay: dict[str, Any] | None = None
        if given.postgres:
            server = stack.enter_context(postgres_server())
            environ["EVENT_STORE_URL"] = stack.enter_context(migrated_database(server, ROOT))
            environ["RABBITMQ_URL"], names = stack.enter_context(broker())
            overlay = names.overlay()
        service = stack.enter_context(
            prepared_service(ROOT, environ, overlay=overlay, data_dir=folder / "data")
        )
        _measure(service, given.events, folder, environ | {"DATA_DIR": str(folder / "data")})


def _measure(service: RunningService, events: int, folder: Path, environ: Mapping[str, str]) -> None:
    """Do all steps on one store."""
    approvals = -(-events // EVENTS_OF_ONE)
    events = approvals * EVENTS_OF_ONE
    service.start()
    with _step("made by commands over HTTP", events, service.pid):
        asyncio.run(_make(service.port, approvals))
    with _step("behind, until the documents showed every decision", events, service.pid):
        _until_decided(service.url, approvals)
    _until_anchored(folder)
    with _step("exported over REST", events, service.pid):
        lines = asyncio.run(_exported_lines(service.url))
    if lines < events + 2:
        raise RuntimeError(f"an export of {events} events has {lines} lines")
    service.stop()
    file = folder / "export.ndjson"
    proof = ("--public-key", str(folder / "audit.pub"), "--anchors", str(folder / ANCHORS))
    erase = ("erase", "--tenant", TENANT, "--subject", _person(7), "--reason", "measured")
    for arguments in (
        ("rebuild",),
        ("rebuild", "--verify"),
        ("audit", "export", "--tenant", TENANT, "--out", str(file)),
        ("audit", "verify", *proof),
        ("audit", "verify", "--export", str(file), *proof),
        erase,
    ):
        _command(arguments, events, environ)
    service.start()
    with _step("documents made again after the erasure", events, service.pid):
        until_caught_up(service)
    service.stop()
    for arguments in (("rebuild", "--verify"), ("audit", "verify", *proof), ("rebuild",)):
        _command(arguments, events, environ)
    size = file.stat().st_size
    print(f"  the export: {size / 1e6:,.0f} MB, {size / events:,.0f} bytes an event")


def _until_decided(url: str, approvals: int) -> None:
    with httpx.Client(base_url=f"{url}/api/v1/hitl", headers={"X-Tenant-ID": TENANT}) as client:
        while True:
            shown = client.get("/approvals", params={"status": "approved", "limit": 1}).raise_for_status()
            if shown.json()["total"] >= approvals:
                return
            time.sleep(0.1)


def _until_anchored(folder: Path) -> None:
    """Wait until the present heads are in the file of anchors."""
    file, begun = folder / ANCHORS, time.time()
    while not file.exists() or file.stat().st_mtime < begun:
        time.sleep(0.5)


async def _make(port: int, approvals: int) -> None:
    """Create, comment on and decide approvals, in groups of ``AT_ONCE``."""
    for first in range(0, approvals, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, approvals))
        asked = await _all_of(port, 201, [_asked_for(number) for number in numbers])
        ids = [str(msgspec.json.decode(body)["id"]) for body in asked]
        said = [
            (
                f"/{id}/comments",
                _person(number + comment),
                {"text": f"What was said in comment {comment}. " * 4},
            )
            for comment in range(1, COMMENTS + 1)
            for number, id in zip(numbers, ids, strict=True)
        ]
        await _all_of(port, 201, said)
        decided = [
            (f"/{id}/approve", person, {"decidedBy": person, "comment": "strategic account"})
            for number, id in zip(numbers, ids, strict=True)
            for person in [_person(number + COMMENTS + 1)]
        ]
        await _all_of(port, 200, decided)


def _asked_for(number: int) -> tuple[str, str, dict[str, object]]:
    deal = f"opp-{number % DEALS}"
    facts = {"opportunityId": deal, "riskScore": 0.87, "amount": 250_000}
    return "", _person(number), {**facts, "payload": {"customerName": f"Customer of {deal}"}}


def _person(number: int) -> str:
    return f"person-{number % PEOPLE}"


async def _all_of(
    port: int, status: int, asked: Sequence[tuple[str, str, Mapping[str, object]]]
) -> list[bytes]:
    requests = [
        request_of(
            "POST", APPROVALS + path, {"X-Tenant-ID": TENANT, "X-User-ID": person}, msgspec.json.encode(body)
        )
        for path, person, body in asked
    ]
    answers = await send(port, requests, CONNECTIONS)
    answers.must_all_be(status)
    return answers.bodies


async def _exported_lines(url: str) -> int:
    lines = 0
    async with _taken(url) as parts:
        async for part in parts:
            lines += part.count(b"\n")
    return lines


@asynccontextmanager
async def _taken(url: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """Yield the bytes of an export."""
    async with (
        httpx.AsyncClient(headers={"X-Tenant-ID": TENANT}, timeout=600) as client,
        client.stream("GET", f"{url}/api/v1/audit/export") as answer,
    ):
        yield answer.aiter_raw()


def _command(arguments: Sequence[str], events: int, environ: Mapping[str, str]) -> None:
    """Run the command line as a step, and print the last line that it wrote."""
    command = [sys.executable, "-m", "config.main", *arguments]
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, env={**environment(ROOT), **environ}, stdout=told, stderr=told)
        with _step(" ".join(arguments[:2]), events, process.pid):
            process.wait()
        told.seek(0)
        lines = told.read().splitlines()
    print(f"  {lines[-1] if lines else ''}")
    if process.returncode != 0:
        raise RuntimeError("\n".join(lines[-20:]))


@contextmanager
def _step(what: str, events: int, pid: int) -> Iterator[None]:
    """Measure the time and the resident memory of a step, and print them."""
    sizes: list[float] = []
    stopping = threading.Event()

    def watch() -> None:
        while not stopping.wait(SAMPLE_SECONDS):
            try:
                sizes.append(resident_mib(pid) or sizes[-1])
            except (OSError, IndexError):
                return

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
        f"{what}: {seconds:.1f} s, {events / seconds:,.0f} events/s; resident MiB on the way: {resident}",
        flush=True,
    )


if __name__ == "__main__":
    main()
