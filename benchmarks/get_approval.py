"""``GET /api/v1/hitl/approvals/{id}`` with a token: wrk with 16 connections, and one embedded service.

A few hundred approvals are created, then read in turn. The reference (``benchmarks.reference_server``) is a
single route on the same HTTP server, which verifies the same token with PyJWT every time and reads the same
bytes by key from SQLite. Besides requests per second, the server's CPU time per request is measured, which
depends less on other load of the machine.
"""

import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import httpx
import uvloop

from benchmarks.harness import HERE, Aim, Measurement, Options, in_turns
from benchmarks.load import APPROVALS, WITH_TOKENS, ask_for_approvals, headers, until_documents
from benchmarks.reference_server import TABLE
from benchmarks.service import START_SECONDS, TENANT, answers, environment, running_service
from benchmarks.wrk import CONNECTIONS, wrk
from tests.services import free_port

BARE = "bare Starlette route"
BARE_THEN = (BARE, 11_400)
"""Requests a second on the machine on which the aims were set."""
COUNT = 400


def run(options: Options) -> list[Measurement]:
    """Measure both servers alternately, while both are running."""
    seconds = options.pick(1.0, 5.0, 20.0)
    with ExitStack() as stack:
        service = stack.enter_context(running_service(options.service_root, WITH_TOKENS))
        ids = uvloop.run(_approvals(service.port))
        paths = [f"{APPROVALS}/{each}" for each in ids]
        servers = {"ours": (service.port, service.pid)}
        if options.with_references:
            with httpx.Client(base_url=service.url, headers=headers()) as client:
                bodies = [client.get(path).content for path in paths]
            servers[BARE] = stack.enter_context(_reference_server(ids, bodies))
        for port, pid in servers.values():
            wrk(port, pid, paths, headers(), 1)
        sides = {
            name: partial(wrk, port, pid, paths, headers(), seconds) for name, (port, pid) in servers.items()
        }
        rounds = in_turns(options.rounds, sides)
    ours, bare = rounds["ours"], rounds.get(BARE, [])
    rate = Measurement(
        "get_approval",
        "GET an approval with JWT",
        "requests/s",
        [each.a_second for each in ours],
        {BARE: [each.a_second for each in bare]} if bare else {},
        [Aim("at least", 10_000, set_beside=BARE_THEN), Aim("at least", 1.0, BARE)],
        notes=[f"wrk, 1 thread, {CONNECTIONS} connections, {seconds:g} s a round, {COUNT} documents in turn"],
    )
    cpu = Measurement(
        "get_approval.cpu",
        "server CPU for that",
        "µs/request",
        [each.cpu for each in ours],
        {BARE: [each.cpu for each in bare]} if bare else {},
        better="lower",
    )
    return [rate, cpu]


async def _approvals(port: int) -> list[str]:
    ids = await ask_for_approvals(port, COUNT)
    await until_documents(port, COUNT)
    return ids


@contextmanager
def _reference_server(ids: Sequence[str], bodies: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Yield the port and process ID of the reference server, which has these documents."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        path, port = Path(folder, "documents.db"), free_port()
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(TABLE)
            rows = zip([TENANT] * len(ids), ids, bodies, strict=True)
            connection.executemany("INSERT INTO documents VALUES (?, ?, ?)", rows)
        connection.close()
        command = [sys.executable, "-m", "benchmarks.reference_server", str(port), str(path)]
        process = subprocess.Popen(command, cwd=HERE, env=environment(HERE))
        try:
            _until_it_serves(port, process)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait()


def _until_it_serves(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(f"http://127.0.0.1:{port}/ready"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the reference server did not start")
        time.sleep(0.05)
