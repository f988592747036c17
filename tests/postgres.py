"""PostgreSQL databases for tests, and faults of them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict


@contextmanager
def _administrator(url: str) -> Iterator[tuple[psycopg.Connection, str]]:
    name = str(conninfo_to_dict(url)["dbname"])
    with psycopg.connect(f"{url.rsplit('/', 1)[0]}/postgres", autocommit=True) as connection:
        yield connection, name


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """Yield the URL of a new, empty database, which is dropped at the end."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield f"{server.rsplit('/', 1)[0]}/{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def end_connections(url: str) -> int:
    """Close all connections to a database from the server's side. Return their number."""
    with _administrator(url) as (connection, name):
        statement = "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        ended = [row[0] for row in connection.execute(statement, (name,))]
        deadline = time.monotonic() + 10
        while connection.execute("SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)", (ended,)).fetchone():
            assert time.monotonic() < deadline, "connections did not end"
            time.sleep(0.01)
        return len(ended)


@contextmanager
def away(url: str) -> Iterator[None]:
    """Refuse connections to a database meanwhile."""

    def allow(allowed: bool) -> None:
        with _administrator(url) as (connection, name):
            connection.execute(
                sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(
                    sql.Identifier(name), sql.Literal(allowed)
                )
            )

    allow(False)
    end_connections(url)
    try:
        yield
    finally:
        allow(True)


def exchange(url: str, other: str) -> None:
    """Give a database the name of another, and that one its name, which ends their connections."""
    with _administrator(url) as (connection, name):
        other_name = str(conninfo_to_dict(other)["dbname"])
        between = f"{name}_aside"
        with away(url), away(other):
            for old, new in ((name, between), (other_name, name), (between, other_name)):
                statement = sql.SQL("ALTER DATABASE {} RENAME TO {}")
                connection.execute(statement.format(sql.Identifier(old), sql.Identifier(new)))
