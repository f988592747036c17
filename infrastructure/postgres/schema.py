"""The schema: our own numbered SQL migrations, and which of them a database has had.

A released migration is never edited. The next one changes what it made.
"""

import re
import time
from collections.abc import Callable
from importlib.resources import files

import msgspec
import psycopg
from psycopg import sql
from psycopg.errors import UndefinedTable

from infrastructure.postgres.conninfo import conninfo

COMMAND = "workflow-orchestrator migrate"

_LOCK = (3051, 0)
"""The advisory lock under which one process at a time migrates. Appends take ``(3051, 1)``."""

_LONGEST_WAIT = "1s"
"""How long to wait for a table that somebody else uses, such as a dump."""

_PAUSE_SECONDS = 4.0

_TRIES = 720
"""Together over an hour, because a dump of a large log takes its time."""

_VERSION_TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_migrations"
    " (version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
)


class Migration(msgspec.Struct, frozen=True):
    """One step from a version of the schema to the next."""

    version: int
    name: str
    statements: str


class WrongSchema(Exception):
    """The database's schema is not the one that this release works on. The text says what to do."""


def _released() -> tuple[Migration, ...]:
    folder = files("infrastructure.postgres").joinpath("migrations")
    found = (
        Migration(int(match[1]), match[2], file.read_text(encoding="utf-8"))
        for file in folder.iterdir()
        if (match := re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name))
    )
    return tuple(sorted(found, key=lambda migration: migration.version))


MIGRATIONS = _released()
NEWEST = MIGRATIONS[-1].version


def migrate(
    url: str, *, to: int = NEWEST, waiting: Callable[[str], None] = lambda what: None
) -> tuple[Migration, ...]:
    """Bring a database to a version. Return the migrations that this took: none if it has that version
    already.

    All of it is one transaction. Processes that migrate at the same time take turns, and the later ones find
    nothing left to do. While a migration waits for a table, all later users of that table wait behind it,
    including the statements of the running release. So each wait is short, and between two waits everybody
    else gets a turn. ``waiting`` is told of each.

    Raises:
        WrongSchema: a newer release has migrated it.
        psycopg.errors.LockNotAvailable: somebody else has held a table for too long.
        psycopg.Error: the server is away, or the user may not create tables.
    """
    for left in reversed(range(_TRIES)):
        try:
            return _migrated(url, to)
        except psycopg.errors.LockNotAvailable as error:
            if not left:
                raise
            waiting(str(error.diag.message_primary))
            time.sleep(_PAUSE_SECONDS)
    raise AssertionError


def _migrated(url: str, to: int) -> tuple[Migration, ...]:
    with psycopg.connect(conninfo(url)) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", _LOCK)
        connection.execute("SET LOCAL search_path = public")
        connection.execute("SET LOCAL client_min_messages = warning")
        connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_LONGEST_WAIT))
        connection.execute(_VERSION_TABLE)
        version = _version(connection)
        if version > NEWEST:
            raise WrongSchema(_is_newer(version))
        pending = tuple(each for each in MIGRATIONS if version < each.version <= to)
        for migration in pending:
            connection.execute(sql.SQL(migration.statements))
            connection.execute(
                "INSERT INTO schema_migrations (version, name) VALUES (%s, %s)",
                (migration.version, migration.name),
            )
    return pending


def require_newest(url: str) -> None:
    """Check that the schema is the one that this release works on.

    Raises:
        WrongSchema: it is missing, older or newer.
        psycopg.Error: the server is away, or the user may not read the version.
    """
    with psycopg.connect(conninfo(url)) as connection:
        connection.execute("SET LOCAL search_path = public")
        try:
            version = _version(connection)
        except UndefinedTable:
            version = 0
    if version == 0:
        raise WrongSchema(f"the event store has no schema yet; run: {COMMAND}")
    if version < NEWEST:
        raise WrongSchema(
            f"the event store's schema is at version {version}, and this release works on {NEWEST};"
            f" run: {COMMAND}"
        )
    if version > NEWEST:
        raise WrongSchema(_is_newer(version))


def _version(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT coalesce(max(version), 0) FROM schema_migrations").fetchone()
    assert row is not None
    return int(row[0])


def _is_newer(version: int) -> str:
    return (
        f"the event store's schema is at version {version}, and this release works on {NEWEST}:"
        " a newer release has migrated it; run: workflow-orchestrator of that release"
    )
