"""Resident memory: idle after a start, under load, and whether it grows while the load goes on.

Approvals are asked for, decided, read and listed by 16 connections with everything at work, projections and
the outbox to RabbitMQ. The growth is the slope of a line through what was resident each second, of the last
two thirds. Caches and pools take two minutes to their size, so only the long form, an hour, tells about leaks
and has an aim for the slope; the short one shows gross ones. One round: it is long, and has no reference.
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
"""MiB a minute: a process of 150 MiB would double in a day. Less is noise of an allocator in an hour."""


def run(options: Options) -> list[Measurement]:
    """One service: idle, then under load."""
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
    """What was resident when, and how many requests there were."""
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
    """Ask for an approval, read it, decide it; each tenth time look at the list."""
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
