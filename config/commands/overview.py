"""The command that prints the state of the projections, whether or not a service runs."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import anyio
import click
import httpx
import msgspec

from application.event_log import number_of
from application.shared_reads import SharedReads
from config.commands.rebuild import SCRATCH_FILE
from config.folders import is_claimed
from config.progress import shown_build
from config.projections import Projections
from config.sections import Settings
from config.start import CannotStart
from config.stores import SharedStores, open_beside
from domain.errors import Failure
from domain.lease import Unrivalled
from infrastructure.clock import SystemClock
from infrastructure.sqlite.build_notes import SqliteBuildNotes, builds_in
from projections.projection import Projection

_SAMPLE_SECONDS = 1.0
_ANSWER_SECONDS = 3.0
_BATCH = 500
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - where a listener may be asked

_COLUMNS = ("projection", "generation", "state", "position", "behind", "lag s", "events/s", "last error")


class Standing(msgspec.Struct, frozen=True, rename="camel"):
    """The state of a projection.

    ``position`` is that in the log's one partition. If there are several partitions, each has its own
    position, and none is shown. ``behind`` counts events of the log, wanted or not. ``lag_seconds`` is the
    age of the oldest wanted event that is not handled. ``rate`` is in events a second, over the last second.
    The service at ``server.host`` and ``server.port`` reports ``state`` and ``last_error``; they are None if
    it does not answer.
    """

    projection: str
    generation: int | None
    state: str | None
    position: str | None
    behind: int
    lag_seconds: float
    rate: float
    last_error: str | None
    rebuild: str | None


async def show_projections(settings: Settings, *, as_json: bool) -> None:
    """Print one line per projection, and one for each that is being rebuilt.

    Raises:
        CannotStart: a store cannot be used, or there is nothing yet.
    """
    chosen = Projections.named_by(settings).all()
    async with AsyncExitStack() as stack:
        containers = [each.container for each in chosen]
        stores = await open_beside(settings, containers, stack, as_they_are=True)
        try:
            standings = await standings_of(settings, chosen, stores)
        except Failure as failure:
            raise CannotStart(str(failure)) from failure
    for line in _as_json(standings) if as_json else _as_table(standings):
        click.echo(line)


async def standings_of(
    settings: Settings, chosen: Sequence[Projection], stores: SharedStores
) -> list[Standing]:
    """Return the state of each projection.

    Raises:
        StoreUnavailable: a store is away.
    """
    said = await _said_by_the_service(settings)
    names = [each.container.name for each in chosen]
    before, began = await _positions(names, stores), time.monotonic()
    await anyio.sleep(_SAMPLE_SECONDS)
    positions, seconds = await _positions(names, stores), time.monotonic() - began
    notes = None if stores.database is None else SqliteBuildNotes(stores.database)
    builds = await notes.builds() if notes else builds_in(settings.storage.data_dir / SCRATCH_FILE)
    log, now = SharedReads(stores.event_store), SystemClock().now()
    standings = []
    for projection in chosen:
        name = projection.container.name
        places, status = positions[name], said.get(name, {})
        handled = sum(map(number_of, places.values())) - sum(map(number_of, before[name].values()))
        standings.append(
            Standing(
                name,
                await notes.generation(name) if notes else None,
                status.get("status"),
                next(iter(places.values())) if len(places) == 1 else None,
                sum([await log.count_after(*place) for place in places.items()]),
                round(
                    max([await _lag(projection, *place, log, now) for place in places.items()], default=0.0),
                    3,
                ),
                round(handled / seconds, 1),
                status.get("error"),
                shown_build(builds[name]) if name in builds else None,
            )
        )
    return standings


async def _positions(names: Sequence[str], stores: SharedStores) -> dict[str, dict[str, str | None]]:
    """Return the position of each in each partition of the log."""
    load, partitions = stores.document_positions.load, await stores.event_store.partitions()
    return {name: {each: await load(name, each, Unrivalled(name)) for each in partitions} for name in names}


async def _lag(
    projection: Projection, partition: str, position: str | None, log: SharedReads, now: datetime
) -> float:
    while (batch := await log.read(partition, position, _BATCH)) is not None:
        for recorded in batch.events:
            if projection.reads(recorded.event):
                return max(0.0, (now - recorded.timestamp).total_seconds())
        position = batch.position
    return 0.0


async def _said_by_the_service(settings: Settings) -> Mapping[str, dict[str, Any]]:
    """Return what ``/ready`` says of each follower. If no service has claimed the folder, another folder's
    service may answer there."""
    if not settings.cosmos_db.endpoint and not is_claimed(settings.storage.data_dir):
        return {}
    host = _EVERYWHERE.get(settings.server.host, settings.server.host)
    shown = f"[{host}]" if ":" in host else host
    try:
        async with httpx.AsyncClient(timeout=_ANSWER_SECONDS, trust_env=False) as client:
            answer = await client.get(f"http://{shown}:{settings.server.port}/ready")
        followers = answer.json()["checks"]["followers"]
        return {each["name"]: each for each in followers}
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        return {}


def _as_json(standings: Sequence[Standing]) -> list[str]:
    return [msgspec.json.encode(each).decode() for each in standings]


def _as_table(standings: Sequence[Standing]) -> list[str]:
    rows = [_COLUMNS, *map(_row, standings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return lines + [f"{each.projection} is rebuilt: {each.rebuild}" for each in standings if each.rebuild]


def _row(standing: Standing) -> tuple[str, ...]:
    return (
        standing.projection,
        "-" if standing.generation is None else str(standing.generation),
        standing.state or "no answer",
        standing.position or "-",
        f"{standing.behind:,}",
        f"{standing.lag_seconds:,.1f}",
        f"{standing.rate:,.1f}",
        standing.last_error or "-",
    )
