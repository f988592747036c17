"""PostgreSQL at a start: waits for it while it is away, migrates it, and refuses another schema than ours."""

from functools import partial
from urllib.parse import parse_qsl

import click
import psycopg
from anyio.to_thread import run_sync
from psycopg.pq import Conninfo

from config.sections import Settings
from config.start import CannotStart, first_line
from config.start_wait import once_it_is_there
from domain.suggestions import did_you_mean
from infrastructure.postgres.conninfo import conninfo
from infrastructure.postgres.schema import MIGRATIONS, WrongSchema, migrate, require_newest


async def migrate_event_store(settings: Settings) -> None:
    """Create or upgrade the event store's tables, and print what was done.

    Raises:
        CannotStart: the store stayed away, may not be changed, or belongs to a newer release.
    """
    url = settings.storage.effective_event_store_url.get_secret_value()
    if url.startswith("sqlite:///"):
        click.echo("nothing to migrate: the event store is SQLite, whose tables are made at the start")
        return
    if settings.storage.is_in_cosmos:
        click.echo("nothing to migrate: containers in Cosmos DB are made at the start")
        return
    await wait_for_postgres(url, settings.storage.startup_timeout_seconds)
    try:
        applied = await run_sync(partial(migrate, url, waiting=_tell_of_wait))
    except WrongSchema as error:
        raise CannotStart(str(error)) from error
    except psycopg.Error as error:
        raise CannotStart(f"the event store cannot be migrated: {first_line(error)}") from error
    for migration in applied:
        click.echo(f"applied {migration.version:04} {migration.name}")
    click.echo(f"the event store's schema is at version {MIGRATIONS[-1].version}")


def _tell_of_wait(what: str) -> None:
    """PostgreSQL knows whom it waits for: a dump, a VACUUM FULL, an open transaction."""
    click.echo(
        f"waiting, {what}: somebody else uses a table. Who that is stands in pg_stat_activity (xact_start)",
        err=True,
    )


async def require_postgres(settings: Settings, url: str) -> None:
    """Wait until PostgreSQL is there, and check that its schema is ours.

    Raises:
        CannotStart: it stayed away, or its schema is missing, older or newer.
    """
    await wait_for_postgres(url, settings.storage.startup_timeout_seconds)
    try:
        await run_sync(require_newest, url)
    except WrongSchema as error:
        raise CannotStart(str(error)) from error
    except psycopg.Error as error:
        raise CannotStart(f"the event store's schema cannot be read: {first_line(error)}") from error


async def wait_for_postgres(url: str, timeout_seconds: float) -> None:
    """Connect, and retry while it is away.

    Raises:
        CannotStart: it stayed away for so long, or the URL cannot be used.
    """
    try:
        await once_it_is_there(
            "event store", partial(_probe, url), away=psycopg.OperationalError, seconds=timeout_seconds
        )
    except psycopg.OperationalError as error:
        raise CannotStart(
            f"the event store was unavailable for {timeout_seconds:g} s: {first_line(error)}"
        ) from error
    except psycopg.ProgrammingError:
        raise CannotStart(f"storage.event_store_url cannot be used: {why_not_understood(url)}") from None
    except psycopg.Error as error:
        raise CannotStart(f"storage.event_store_url cannot be used: {first_line(error)}") from error


def why_not_understood(url: str) -> str:
    """Return why PostgreSQL's library refuses a URL, in our words, because its own quote the URL with its
    password."""
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    query = url.partition("#")[0].partition("?")[2]  # urlsplit fails at hosts that it does not understand
    for name, _ in parse_qsl(query):
        if name not in known:
            return f"PostgreSQL knows no parameter {name}{did_you_mean(name, known)}"
    return "PostgreSQL does not understand its host, or what is behind the ?"


async def _probe(url: str) -> None:
    connection = await psycopg.AsyncConnection.connect(conninfo(url))
    await connection.close()
