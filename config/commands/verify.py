"""The command that compares the live documents with the log while services run, and changes nothing."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import click

from application.event_log import number_of
from config.commands.rebuild import another_folder, built, chosen_projections, delete_database
from config.garbage_collection import without_collections
from config.progress import ProgressLine
from config.recipes import note_recipe
from config.sections import Settings
from config.start import CannotStart
from config.stores import SharedStores, open_beside
from domain.errors import Failure, StoreFull, StoreUnavailable
from domain.lease import Unrivalled
from infrastructure.sqlite.scratch import SqliteScratch
from projections.comparing import Comparison
from projections.projection import Projection

SCRATCH_FILE = "verify.db"


class Differs(Exception):
    """Live documents differ from those that the log leads to."""


async def verify(settings: Settings, names: Sequence[str]) -> None:
    """Compare the named containers, or all of them, at the position that all of these have reached. No
    document is changed. If none differs, note that the present code makes these documents.

    Raises:
        Differs: they differ; each differing document was printed.
        CannotStart: a name is unknown, a store cannot be used, or a rebuild is running.
    """
    chosen = chosen_projections(settings, names)
    async with AsyncExitStack() as stack:
        containers = [each.container for each in chosen]
        stores = await open_beside(settings, containers, stack, as_they_are=True, builds=True)
        stack.enter_context(without_collections())
        try:
            scratch = scratch_in(settings.storage.data_dir / SCRATCH_FILE, stack)
            found = await _compare(settings, chosen, stores, scratch)
            if not found:
                await note_recipe((each.container.name for each in chosen), stores.document_positions)
        except StoreFull as failure:
            raise CannotStart(_no_room(settings, failure)) from failure
        except Failure as failure:
            raise CannotStart(f"stopped before the end, verify again: {failure}") from failure
    if found:
        raise Differs(f"{found} documents differ from the log; rebuild these projections")


def _no_room(settings: Settings, failure: StoreFull) -> str:
    said = f"stopped before the end, and the file is deleted: {failure}. Free some space"
    return f"{said}, or {another_folder(settings)}" if settings.cosmos_db.endpoint else said


def scratch_in(path: Path, stack: AsyncExitStack) -> SqliteScratch:
    """Open a file for documents that are only compared. A file that a killed command left is deleted.

    Raises:
        StoreUnavailable: it cannot be created.
    """
    try:
        delete_database(path)
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror}") from error
    stack.callback(delete_database, path)
    scratch = SqliteScratch(path)
    stack.callback(scratch.close)
    return scratch


async def _compare(
    settings: Settings, chosen: Sequence[Projection], stores: SharedStores, scratch: SqliteScratch
) -> int:
    containers = [each.container for each in chosen]
    until = await _reached(chosen, stores)
    await scratch.begin(containers, "for a comparison")
    found = 0
    with ProgressLine("folding") as line:
        builder = await built(settings, chosen, stores, scratch, line, until=until)
        events = builder.handled
        line.say(f"comparing at {', '.join(builder.positions.values()) or 'the beginning'}")
    comparison = Comparison(chosen, stores.documents, scratch, builder)
    async for difference in comparison.differences():
        found += 1
        click.echo(f"{difference.container} {difference.tenant} {difference.id} {difference.what}")
    for name, count in (+comparison.left_alone).items():
        click.echo(f"{name}: {count} documents that this service has not made are ignored")
    if not found:
        names = ", ".join(each.name for each in containers)
        click.echo(f"{names}: no difference from the log, after {events} events")
    return found


async def _reached(chosen: Sequence[Projection], stores: SharedStores) -> Mapping[str, int]:
    """Return the ID of the event that all projections have reached in each partition. It is read before any
    document is."""
    return {
        partition: min(
            [await _reached_in(partition, each.container.name, stores) for each in chosen], default=0
        )
        for partition in await stores.event_store.partitions()
    }


async def _reached_in(partition: str, name: str, stores: SharedStores) -> int:
    position = await stores.document_positions.load(name, partition, Unrivalled(name))
    if position is None:
        return 0
    if not await stores.event_store.knows(partition, position):
        raise CannotStart(f"the documents follow another log: it has no position {position}")
    return number_of(position)
