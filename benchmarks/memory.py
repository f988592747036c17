"""Resident memory: idle after a start, under load, and its growth under constant load.

16 connections create, decide, read and list approvals, with projections and the outbox to RabbitMQ running.
The growth is the slope of a line through the resident memory of each second, of the last two thirds. Caches
and pools need two minutes to reach their size, so only the long form (an hour) can show leaks, and has an aim
for the slope; the short form shows only large ones. There is one round, because it is long, and no reference.
"""

import asyncio
import statistics
import time
from itertools import count

import aiohttp

from benchmarks.harness import Aim, Measurement, Options
from benchmarks.requests import Call, approving, ask, client, creating
from benchmarks.service import RunningService, resident_mib, running_service
from benchmarks.stores import broker

CONNECTIONS = 16
IDLE_SECONDS = 3.0
SAMPLE_SECONDS = 1.0
MOST_GROWTH = 0.1
"""MiB per minute, at which a process of 150 MiB doubles in a day. In an hour, less is the allocator's
noise."""


def run(options: Options) -> list[Measurement]:
    """Measure one service, idle and then under load."""
    seconds = options.pick(3.0, 30.0, 3_600.0)
    with broker() as (url, names):
        environ = {"RABBITMQ_URL": url, "LOG_LEVEL": "warning"}
        with running_service(options.service_root, environ, overlay=names.overlay()) as service:
            time.sleep(IDLE_SECONDS)
            idle = resident_mib(service.pid)
            samples, requests = asyncio.run(_under_load(service, seconds))
    settled = samples[len(samples) // 3 :]
    slope = statistics.linear_regression(*zip(*settled, strict=True)).slope * 60
    note = f"{requests} requests in {seconds:g} s, SQLite log"
    flat = [Aim("at most", MOST_GROWTH)] if options.size == "long" else []
    return [
        Measurement(
            "memory.idle", "Resident, idle", "MiB", [idle], aims=[Aim("at most", 150)], better="lower"
        ),
        Measurement(
            "memory.load",
            "Resident, most under load",
            "MiB",
            [max(resident for _, resident in samples)],
            better="lower",
            notes=[note],
        ),
        Measurement(
            "memory.growth",
            "Growth under load",
            "MiB a minute",
            [slope],
            aims=flat,
            better="lower",
            notes=[note, f"at the end {samples[-1][1]:.0f} MiB, a third in {settled[0][1]:.0f} MiB"],
        ),
    ]


async def _under_load(service: RunningService, seconds: float) -> tuple[list[tuple[float, float]], int]:
    """Return samples of time and resident memory, and the number of requests."""
    began = time.monotonic()
    ends = began + seconds
    requests = count()
    samples: list[tuple[float, float]] = []
    async with client(service.url, CONNECTIONS) as session, asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(_work(session, ends, requests))
        while time.monotonic() < ends:
            samples.append((time.monotonic() - began, resident_mib(service.pid)))
            await asyncio.sleep(SAMPLE_SECONDS)
    return samples, next(requests)


async def _work(session: aiohttp.ClientSession, ends: float, requests: "count[int]") -> None:
    """Create, read and decide approvals until the end, and get the list every tenth time."""
    for number in count():
        if time.monotonic() > ends:
            return
        (create,) = creating(1)
        approval = (await ask(session, create)).json["id"]
        await ask(session, Call("GET", f"hitl/approvals/{approval}"))
        (approve,) = approving([approval])
        await ask(session, approve)
        if number % 10 == 0:
            await ask(session, Call("GET", "hitl/approvals?limit=50"))
            next(requests)
        for _ in range(3):
            next(requests)
