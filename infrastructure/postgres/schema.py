"""The schema: numbered SQL migrations of our own, and which of them a database has had.

A migration that was released is never edited; what it made is changed by the next one.
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
"""The advisory lock under which one process at a time migrates; appends take ``(3051, 1)``."""

_LONGEST_WAIT = "1s"
"""For a table that somebody else uses, such as a dump."""

_PAUSE_SECONDS = 4.0

_TRIES = 720
"""Over an hour: a dump of a large log takes its time."""

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
    """The database's schema is not the one that this release works on; the text says what to do."""


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
    """Bring a database to a version and tell what that took; nothing if it is there already.

    All of it is one transaction. Processes that migrate at once take turns, and the later ones find
    nothing left to do. Who waits for a table keeps all others from it that come later, the running release's
    statements among them: so no wait is long, and between two of them everybody has a turn. ``waiting`` is
    told of each.

    Raises:
        WrongSchema: a newer release has migrated it.
        psycopg.errors.LockNotAvailable: somebody else has held a table for too long.
        psycopg.Error: the server is away, or the user may not make tables.
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
    """Do nothing if the schema is the one that this release works on.

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
