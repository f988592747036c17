"""The command that derives documents again, beside the live ones and while services run. No message goes
out."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import product
from pathlib import Path

import anyio
import click
import msgspec

from application.event_log import number_of
from config.commands.folding_processes import build_in_shares, heads
from config.garbage_collection import without_collections
from config.progress import ProgressLine
from config.projections import Projections
from config.recipes import note_recipe, recipe_now
from config.sections import Settings
from config.start import CannotStart
from config.stores import SharedStores, open_beside
from domain.errors import Failure, StoreFull
from domain.lease import Unrivalled
from infrastructure.clock import SystemClock
from infrastructure.sqlite.builds import SqliteBuilds
from infrastructure.sqlite.scratch import SqliteScratch
from projections.building import Builder, Progress
from projections.mending import Mender
from projections.projection import Projection

_NEAR = 200
"""How many events may be left for the moment in which nobody else can write documents."""

_ROUNDS = 20
_FOLLOWED_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 0.2

SCRATCH_FILE = "rebuild.db"
"""Where documents are built that are stored in Cosmos DB."""


async def rebuild(settings: Settings, names: Sequence[str]) -> None:
    """Rebuild the named containers, or all of them, and replace all live ones at once.

    Raises:
        CannotStart: a name is unknown, a store cannot be used, or another rebuild runs.
    """
    chosen = chosen_projections(settings, names)
    async with AsyncExitStack() as stack:
        stores = await open_beside(settings, [each.container for each in chosen], stack, builds=True)
        stack.enter_context(without_collections())
        try:
            if stores.file is None:
                path = settings.storage.data_dir / SCRATCH_FILE
                scratch = SqliteScratch(path)
                stack.callback(scratch.close)
                said = await _build_and_mend(settings, chosen, stores, scratch)
                delete_database(path)
            else:
                site = SqliteBuilds(stores.file)
                stack.callback(site.close)
                said = await _build_beside(settings, chosen, stores, site)
        except StoreFull as failure:
            raise CannotStart(_no_room(settings, failure)) from failure
        except Failure as failure:
            raise CannotStart(
                f"stopped before the end; rebuild again to continue from there: {failure}"
            ) from failure
        await note_recipe((each.container.name for each in chosen), stores.document_positions)
    for line in said:
        click.echo(line)


def _no_room(settings: Settings, failure: StoreFull) -> str:
    """Return what to do: another rebuild is useless before there is room, or without another place."""
    again = f"stopped before the end: {failure}. Free some space and rebuild again to continue from there"
    if not settings.cosmos_db.endpoint:
        return again
    return f"{again}; or delete that file, with its -wal and -shm, and {another_folder(settings)}"


def another_folder(settings: Settings) -> str:
    """Return where a scratch file may be if the service's own folder has no room. A log in that folder stays
    there: a new folder has none."""
    given = "give this command alone another DATA_DIR, with room for all documents"
    if settings.storage.is_shared:
        return given
    return f"{given}, and EVENT_STORE_URL and PRIVACY_MASTER_KEY_FILE with the files of now"


def delete_database(path: Path) -> None:
    """Delete a file of SQLite, with those beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)


def chosen_projections(settings: Settings, names: Sequence[str]) -> list[Projection]:
    """Return those of the named containers, or all.

    Raises:
        CannotStart: a name is unknown.
    """
    known = {each.container.name: each for each in Projections.named_by(settings).all()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise CannotStart(f"unknown projection {', '.join(unknown)}; the projections are {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names or known)]


async def _build_beside(
    settings: Settings, chosen: Sequence[Projection], stores: SharedStores, site: SqliteBuilds
) -> list[str]:
    """Build beside the live documents, in their file, and replace them in one transaction.

    While the file is locked the rest of the log is handled. So the new documents hold everything that the
    live follower can have written, and what the follower writes afterwards is newer, or is skipped.
    """
    with ProgressLine("rebuilding") as line:
        begun = await begin(site, chosen, recipe_now(), stores)
        builder = await built(settings, chosen, stores, site, line, begun=begun)
        line.say("indexing")
        await site.index()
        for _ in range(_ROUNDS):
            if await builder.catch_up() < _NEAR:
                break
        async with site.locked():
            await builder.catch_up()
            await site.go_live(builder.positions)
    await site.tidy(recipe_now())
    return [
        f"{each.name}: rebuilt from {builder.handled} events, generation {site.generation_of(each)} is live"
        for each in (projection.container for projection in chosen)
    ]


async def _build_and_mend(
    settings: Settings, chosen: Sequence[Projection], stores: SharedStores, site: SqliteScratch
) -> list[str]:
    """Build in a file of our own, then write those of the live documents that differ.

    Cosmos DB cannot rename a container, and others read it under the name that it has.
    """
    with ProgressLine("rebuilding") as line:
        begun = await begin(site, chosen, recipe_now(), stores)
        builder = await built(settings, chosen, stores, site, line, begun=begun)
        line.say("comparing and mending")

        async def followed() -> None:
            await until_followed(chosen, stores)

        mender = Mender(chosen, stores.documents, site, builder, until_followed=followed)
        await mender.mend()
    names = ", ".join(each.container.name for each in chosen)
    return [f"{names}: rebuilt from {builder.handled} events, {mender.mended} documents written"]


async def built(
    settings: Settings,
    chosen: Sequence[Projection],
    stores: SharedStores,
    site: SqliteBuilds,
    line: ProgressLine,
    *,
    begun: Progress | None = None,
    until: Mapping[str, int] | None = None,
) -> Builder:
    """Build what the log holds now, or up to the event IDs ``until`` of the partitions, from where an
    unfinished build has ``begun``. Return the builder."""
    builder = Builder(
        chosen,
        stores.event_store,
        site,
        begun=begun,
        live=stores.documents,
        now=SystemClock().now,
        tell=line.show,
    )
    await build_in_shares(builder, settings, chosen, stores, site, until=until)
    await builder.catch_up(until=until)
    return builder


async def until_followed(chosen: Sequence[Projection], stores: SharedStores) -> None:
    """Wait until the followers have passed what the log holds now, or until they stand still, because nobody
    runs them."""
    ends = await heads(stores.event_store)
    with anyio.move_on_after(_FOLLOWED_SECONDS):
        for name, (partition, end) in product((each.container.name for each in chosen), ends.items()):
            while True:
                lease = Unrivalled(name)
                saved = await stores.document_positions.load(name, partition, lease)
                if number_of(saved) >= end:
                    break
                await anyio.sleep(_LOOK_AGAIN_SECONDS)
    await anyio.sleep(_LOOK_AGAIN_SECONDS)


async def begin(
    site: SqliteBuilds, chosen: Sequence[Projection], recipe: str, stores: SharedStores
) -> Progress | None:
    """Return where an unfinished build of the same ended, unless it was from another log."""
    containers = [each.container for each in chosen]
    found = await site.begin(containers, recipe)
    begun = earliest(list(found.values()))
    if begun is None:
        return None
    for partition, position in begun.positions.items():
        if not await stores.event_store.knows(partition, position):
            await site.begin(containers, recipe, anew=True)
            return None
    return begun


def earliest(found: Sequence[Progress | None]) -> Progress | None:
    """Return where to continue: in each partition, where the last of them is. What comes again changes
    nothing."""
    begun = [progress for progress in found if progress is not None]
    if not begun or len(begun) < len(found):
        return None
    everywhere = set.intersection(*(set(progress.positions) for progress in begun))
    return msgspec.structs.replace(
        min(begun, key=lambda progress: progress.handled),
        positions={
            partition: min((progress.positions[partition] for progress in begun), key=number_of)
            for partition in everywhere
        },
    )
