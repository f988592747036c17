"""Empties documents and derives them again from the log. No message goes out."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

import click

from config.container import Projections
from config.sections import Settings
from config.start import CannotStart
from config.stores import open_stores
from domain.event import Event, Recorded
from infrastructure.clock import SystemClock
from projections.follower import Follower
from projections.projection import Materializer


async def rebuild(settings: Settings, names: Sequence[str]) -> None:
    """Rebuild the named containers, or all of them, with a progress bar each.

    Raises:
        CannotStart: a name is unknown, or a store is of no use (a service that runs holds its own).
    """
    projections = {each.container.name: each for each in Projections.named_by(settings).all()}
    unknown = [name for name in names if name not in projections]
    if unknown:
        raise CannotStart(f"unknown projection {', '.join(unknown)}; there are {', '.join(projections)}")
    async with AsyncExitStack() as stack:
        stores = await open_stores(settings, [each.container for each in projections.values()], stack)
        total = 0
        for partition in await stores.event_store.partitions():
            total += await stores.event_store.count_after(partition, None)
        for name in names or projections:
            projection = projections[name]
            with click.progressbar(length=total, label=f"{name:<24}", show_pos=True) as bar:
                await stores.document_positions.forget(name)
                await stores.documents.clear(projection.container)
                await Follower(
                    _Counted(Materializer(projection, stores.documents), bar),
                    stores.event_store,
                    stores.document_positions,
                    now=SystemClock().now,
                    batch_size=settings.followers.batch_size,
                ).catch_up()
            click.echo(f"{name}: rebuilt from {total} events")


class _Counted:
    """A materializer that moves a progress bar by every event, wanted or not."""

    def __init__(self, materializer: Materializer, bar: "click._termui_impl.ProgressBar[int]") -> None:
        self.name = materializer.name
        self._materializer = materializer
        self._bar = bar

    def wants(self, event: Event) -> bool:
        return True

    async def handle(self, events: Sequence[Recorded]) -> None:
        await self._materializer.handle(
            [recorded for recorded in events if self._materializer.wants(recorded.event)]
        )
        self._bar.update(len(events))
