"""Empties documents and derives them again from the log. No message goes out."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import starmap
from uuid import uuid4

import anyio
import click

from application.leadership import Leadership
from application.shared_reads import SharedReads
from config.container import Projections
from config.sections import Settings
from config.start import CannotStart
from config.stores import Stores, open_stores
from domain.errors import LeaseLost
from domain.event import Event, Recorded
from domain.lease import Lease
from infrastructure.clock import SystemClock
from projections.follower import Follower
from projections.projection import Materializer, Projection

_PATIENCE_SECONDS = 10.0
"""Longer than the lease of an instance that was killed lasts."""


async def rebuild(settings: Settings, names: Sequence[str]) -> None:
    """Rebuild the named containers, or all of them, with a progress bar.

    Raises:
        CannotStart: a name is unknown, a store is of no use, or a service keeps the same documents.
    """
    projections = {each.container.name: each for each in Projections.named_by(settings).all()}
    unknown = [name for name in names if name not in projections]
    if unknown:
        raise CannotStart(f"unknown projection {', '.join(unknown)}; there are {', '.join(projections)}")
    chosen = {name: projections[name] for name in names or projections}
    async with AsyncExitStack() as stack:
        stores = await open_stores(settings, [each.container for each in projections.values()], stack)
        total = 0
        for partition in await stores.event_store.partitions():
            total += await stores.event_store.count_after(partition, None)
        claims = {name: _Claim(name) for name in chosen}
        leadership = Leadership(stores.document_leases, f"rebuild-{uuid4()}", list(claims.values()))
        failure: CannotStart | None = None
        async with anyio.create_task_group() as tasks:
            await tasks.start(leadership.run)
            try:
                leases = await _all_of(claims)
                await _rebuild(chosen, stores, settings, total, leases)
            except CannotStart as refused:
                failure = refused
            except LeaseLost as lost:
                failure = CannotStart(f"given up half-way, rebuild again: {lost}")
            await leadership.finish()
        if failure is not None:
            raise failure


async def _rebuild(
    projections: Mapping[str, Projection],
    stores: Stores,
    settings: Settings,
    total: int,
    leases: Mapping[str, Lease],
) -> None:
    """All side by side, so that the log is read once."""
    log = SharedReads(stores.event_store)
    with click.progressbar(length=total * len(projections), label="rebuilding", show_pos=True) as bar:

        async def one(name: str, projection: Projection) -> None:
            await stores.document_positions.forget(name)
            await stores.documents.clear(projection.container)
            follower = Follower(
                _Counted(Materializer(projection, stores.documents), bar),
                log,
                stores.document_positions,
                now=SystemClock().now,
                batch_size=settings.followers.batch_size,
            )
            await follower.catch_up(leases[name])
            await follower.save_positions(leases[name])

        outcomes = await asyncio.gather(*starmap(one, projections.items()), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    for name in projections:
        click.echo(f"{name}: rebuilt from {total} events")


async def _all_of(claims: Mapping[str, "_Claim"]) -> dict[str, Lease]:
    with anyio.move_on_after(_PATIENCE_SECONDS):
        return {name: await claim.granted() for name, claim in claims.items()}
    missing = ", ".join(name for name, claim in claims.items() if claim.lease is None)
    raise CannotStart(f"a running service keeps {missing} up to date; stop its projector role first")


class _Claim:
    """Keeps the services of other processes away from a container."""

    failing_seconds = 0.0

    def __init__(self, name: str) -> None:
        self.name = name
        self.lease: Lease | None = None
        self._granted = anyio.Event()
        self._stopping = anyio.Event()

    async def granted(self) -> Lease:
        """The lease, once nobody else has it."""
        await self._granted.wait()
        assert self.lease is not None
        return self.lease

    async def take_over(self, lease: Lease) -> None:
        """Nothing is to be kept of what was there."""

    async def run(self, lease: Lease) -> None:
        """Hold the lease until :meth:`stop`."""
        self.lease = lease
        self._granted.set()
        await self._stopping.wait()

    def stop(self) -> None:
        """Let it go."""
        self._stopping.set()


class _Counted:
    """A materializer that moves a progress bar by every event, wanted or not."""

    may_repeat_unnoticed = True

    def __init__(self, materializer: Materializer, bar: "click._termui_impl.ProgressBar[int]") -> None:
        self.name = materializer.name
        self._materializer = materializer
        self._bar = bar

    def wants(self, event: Event) -> bool:
        return True

    async def start_over(self) -> None:
        await self._materializer.start_over()

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        wanted = [recorded for recorded in events if self._materializer.wants(recorded.event)]
        await self._materializer.handle(wanted, lease)
        self._bar.update(len(events))
