"""What is done to the system, on a plan that a seed repeats. Each fault has its own end."""

import contextlib
import random
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import anyio
import msgspec
import psycopg

from tests.chaos.campaign.evidence import Evidence
from tests.chaos.campaign.instances import Instance
from tests.chaos.campaign.world import World

KILLED_AGAIN = 0.25
LONGEST_START_SECONDS = 2.0


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: when it begins and how long it holds, in seconds; ``chance`` chooses the rest.

    A kill that comes ``again`` comes while the process is starting.
    """

    at: float
    name: str
    hold: float
    chance: float
    again: bool = False


HOLDS = {
    "broker restarted": (0.2, 2.0),
    "broker frozen": (2.0, 6.0),
    "broker frozen for long": (35.0, 40.0),
    "postgres stopped": (0.5, 5.0),
    "postgres connections ended": (0.0, 0.0),
    "cosmos frozen": (2.0, 8.0),
    "cosmos cut": (0.5, 4.0),
    "instance frozen": (11.0, 13.0),
    "instance restarted": (0.0, 0.0),
    "disk full": (2.0, 5.0),
    "clock set": (4.0, 8.0),
}
"""The faults beside kills, and how long they hold, in seconds."""


def plan_kills(seed: str, kills: int, seconds: float) -> list[Planned]:
    """Kills spread over the time, at random."""
    dice = random.Random(f"{seed}/kills")
    moments = sorted(dice.uniform(0, seconds) for _ in range(kills))
    return [
        Planned(
            at=at,
            name="kill",
            hold=dice.choice((0.0, dice.uniform(0, 1.5))),
            chance=dice.random(),
            again=dice.random() < KILLED_AGAIN,
        )
        for at in moments
    ]


def plan_others(seed: str, names: Sequence[str], seconds: float, *, often: bool) -> list[Planned]:
    """The other faults one after the other: each once, or again and again until the time is over."""
    dice = random.Random(f"{seed}/faults")
    planned: list[Planned] = []
    at = 0.5
    while names:
        for name in dice.sample(list(names), len(names)):
            hold = dice.uniform(*HOLDS[name])
            if often and at + hold > seconds:
                return planned
            planned.append(Planned(at=at, name=name, hold=hold, chance=dice.random()))
            at += hold + dice.uniform(1, 6 if often else 2)
        if not often:
            break
    return planned


def possible_in(world: World) -> list[str]:
    """Which of the faults this world can have; a long freeze of the broker only on demand."""
    names = ["broker restarted", "broker frozen", "instance frozen", "instance restarted"]
    if world.form.postgres:
        names += ["postgres stopped", "postgres connections ended"]
    if world.form.cosmos:
        names += ["cosmos frozen", "cosmos cut"]
    if world.disk is not None:
        names.append("disk full")
    if world.instances[-1].clock is not None:
        names.append("clock set")
    return names


class Faults:
    """Does what is planned to a world."""

    def __init__(self, world: World, evidence: Evidence) -> None:
        self._world = world
        self._evidence = evidence
        self.clock_was_set = 0
        self._acts: dict[str, Callable[[Planned], Awaitable[None]]] = {
            "kill": self._kill,
            "broker restarted": self._restart_broker,
            "broker frozen": self._freeze_broker,
            "broker frozen for long": self._freeze_broker,
            "postgres stopped": self._stop_postgres,
            "postgres connections ended": self._end_connections,
            "cosmos frozen": self._freeze_cosmos,
            "cosmos cut": self._cut_cosmos,
            "instance frozen": self._freeze_instance,
            "instance restarted": self._restart_instance,
            "disk full": self._fill_disk,
            "clock set": self._set_clock,
        }

    async def run(self, planned: Sequence[Planned]) -> None:
        """One after the other, each not before its time; all are healed when this returns."""
        began = time.monotonic()
        for fault in planned:
            await anyio.sleep(max(0.0, began + fault.at - time.monotonic()))
            if fault.name != "kill":
                self._evidence.note_fault(fault.name, f"for {fault.hold:.1f} s")
            await self._acts[fault.name](fault)

    def _chosen(self, fault: Planned) -> Instance:
        return self._world.instances[int(fault.chance * len(self._world.instances))]

    async def _kill(self, fault: Planned) -> None:
        """At any time; a share of them once more, while it is starting."""
        instance = self._chosen(fault)
        await instance.until_launched()
        instance.kill(fault.hold)
        if fault.again:
            await instance.until_launched()
            await anyio.sleep(fault.chance * LONGEST_START_SECONDS)
            instance.kill(0)

    async def _restart_broker(self, fault: Planned) -> None:
        broker = self._world.servers.broker
        await anyio.to_thread.run_sync(broker.stop)
        await anyio.sleep(fault.hold)
        await anyio.to_thread.run_sync(broker.start)

    async def _freeze_broker(self, fault: Planned) -> None:
        self._world.servers.broker.freeze()
        try:
            await anyio.sleep(fault.hold)
        finally:
            self._world.servers.broker.thaw()

    async def _stop_postgres(self, fault: Planned) -> None:
        """As a crash would: what was not committed is gone, and recovery comes at the start."""
        node = self._world.servers.postgres
        await anyio.to_thread.run_sync(node.stop)
        await anyio.sleep(fault.hold)
        await anyio.to_thread.run_sync(node.start)

    async def _end_connections(self, fault: Planned) -> None:
        """Every connection at once, some of them between a commit and its acknowledgement."""
        await anyio.to_thread.run_sync(
            end_connections, self._world.environ["EVENT_STORE_URL"], self._world.servers.postgres.url
        )

    async def _freeze_cosmos(self, fault: Planned) -> None:
        _, process = self._world.servers.cosmos
        process.send_signal(signal.SIGSTOP)
        try:
            await anyio.sleep(fault.hold)
        finally:
            process.send_signal(signal.SIGCONT)

    async def _cut_cosmos(self, fault: Planned) -> None:
        """In the midst of answers: some writes are done, and nobody is told so."""
        between = self._world.to_cosmos
        assert between is not None
        between.cut()
        try:
            await anyio.sleep(fault.hold)
        finally:
            between.open()

    async def _restart_instance(self, fault: Planned) -> None:
        await self._chosen(fault).restart()

    async def _freeze_instance(self, fault: Planned) -> None:
        """Longer than a lease: others take over, and then it goes on as if no time had passed."""
        instance = self._chosen(fault)
        instance.freeze()
        try:
            await anyio.sleep(fault.hold)
        finally:
            instance.thaw()

    async def _fill_disk(self, fault: Planned) -> None:
        disk = self._world.disk
        assert disk is not None
        await anyio.to_thread.run_sync(disk.fill)
        try:
            await anyio.sleep(fault.hold)
        finally:
            disk.free()

    async def _set_clock(self, fault: Planned) -> None:
        """Hours ahead or behind, in the running process; whether it really was is asked of the service."""
        instance = self._world.instances[-1]
        assert instance.clock is not None
        ahead = fault.chance < 0.5
        instance.clock.set("+3h" if ahead else "-3h")
        try:
            end = time.monotonic() + fault.hold
            while time.monotonic() < end:
                said = (await instance.health()).get("timestamp")
                if said and abs((datetime.fromisoformat(said) - datetime.now(UTC)).total_seconds()) > 3600:
                    self.clock_was_set += 1
                    await anyio.sleep(max(0.0, end - time.monotonic()))
                await anyio.sleep(0.3)
        finally:
            instance.clock.set("+0")


def end_connections(url: str, server: str) -> None:
    """From the server's side. They come again at once: nobody can wait here until there are none."""
    statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    with (
        contextlib.suppress(psycopg.OperationalError),
        psycopg.connect(server, autocommit=True) as connection,
    ):
        connection.execute(statement, (url.rsplit("/", 1)[1],))
