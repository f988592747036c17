"""The tables of PostgreSQL: made and upgraded by numbered migrations, refused when they are not ours."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.postgres import Factory
from eventsourcing.utils import Environment
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import UndefinedTable

from application.event_log import EventLog
from domain.job import JobRunCompleted
from infrastructure.postgres import schema
from infrastructure.postgres.schema import MIGRATIONS, NEWEST, Migration, WrongSchema, migrate, require_newest
from tests.application.logs import postgres_settings
from tests.builders import NOW, recorded

pytestmark = pytest.mark.postgres

STREAM = "t/job/one"
COMPLETED = JobRunCompleted(job="outcome-sync", run_id="run-1", completed_at=NOW)


@pytest.fixture
def other_url(postgres_url: str, postgres_server: str) -> Iterator[str]:
    """One more empty database."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield f"{postgres_server.rsplit('/', 1)[0]}/{name}"
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


def made_by_the_library(url: str) -> None:
    """As releases before the migrations did, and the library by itself does."""
    at = conninfo_to_dict(url)
    factory = Factory(
        Environment(
            "workflow_orchestrator",
            {
                "POSTGRES_DBNAME": str(at["dbname"]),
                "POSTGRES_HOST": str(at["host"]),
                "POSTGRES_PORT": str(at.get("port", 5432)),
                "POSTGRES_USER": str(at["user"]),
                "POSTGRES_PASSWORD": "",
                "ORIGINATOR_ID_TYPE": "text",
            },
        )
    )
    factory.application_recorder()
    factory.close()
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE TABLE follower_positions (follower text NOT NULL, partition text NOT NULL,"
            " position text NOT NULL, PRIMARY KEY (follower, partition))"
        )
        connection.execute("INSERT INTO follower_positions VALUES ('outbox', 'log', 'log-1')")


EVENT_TABLE = """
    SELECT 'column', attname, format_type(atttypid, atttypmod) || ' ' || attnotnull::text
           || ' ' || coalesce(pg_get_expr(adbin, adrelid), '')
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid IN ('workflow_orchestrator_events'::regclass,
                       (SELECT typrelid FROM pg_type WHERE typname = 'stored_event_text'))
      AND attnum > 0
    UNION ALL
    SELECT 'index', indexname, indexdef FROM pg_indexes WHERE tablename = 'workflow_orchestrator_events'
    UNION ALL
    SELECT 'option', unnest(reloptions), '' FROM pg_class WHERE relname = 'workflow_orchestrator_events'
    ORDER BY 1, 2, 3
"""


def test_the_event_table_is_the_one_that_the_library_would_make(postgres_url: str, other_url: str) -> None:
    migrate(postgres_url)
    made_by_the_library(other_url)
    ours = query(postgres_url, EVENT_TABLE)
    assert len(ours) > 12
    assert ours == query(other_url, EVENT_TABLE)


def test_migrations_are_numbered_without_gaps_and_leave_their_numbers(postgres_url: str) -> None:
    assert [migration.version for migration in MIGRATIONS] == list(range(1, NEWEST + 1))
    assert migrate(postgres_url) == MIGRATIONS
    done = query(postgres_url, "SELECT version, name FROM schema_migrations ORDER BY version")
    assert done == [(migration.version, migration.name) for migration in MIGRATIONS]


def test_heads_of_the_audit_trail_change_without_a_write_to_any_index(postgres_url: str) -> None:
    migrate(postgres_url)
    indexed = query(
        postgres_url, "SELECT indexdef FROM pg_indexes WHERE tablename = 'audit_heads' ORDER BY 1"
    )
    columns = [definition.rpartition("(")[2] for (definition,) in indexed]
    assert columns == ["id)", "tenant)"], "neither changes"


def test_migrating_again_does_nothing(postgres_url: str) -> None:
    migrate(postgres_url)
    before = query(postgres_url, "SELECT * FROM schema_migrations ORDER BY version")
    assert migrate(postgres_url) == ()
    assert query(postgres_url, "SELECT * FROM schema_migrations ORDER BY version") == before


def test_of_many_who_migrate_at_once_one_does_it(postgres_url: str) -> None:
    with ThreadPoolExecutor(12) as threads:
        done = list(threads.map(lambda _: migrate(postgres_url), range(12)))
    assert sorted(map(len, done)) == [0] * 11 + [NEWEST]
    require_newest(postgres_url)


def test_each_version_can_be_upgraded_to_the_newest(postgres_url: str) -> None:
    for version in range(1, NEWEST):
        assert [each.version for each in migrate(postgres_url, to=version)] == [version]
        with pytest.raises(WrongSchema, match=f"version {version}.* works on {NEWEST}; run: .* migrate$"):
            require_newest(postgres_url)
    assert [each.version for each in migrate(postgres_url)] == [NEWEST]
    require_newest(postgres_url)


def test_what_a_release_before_the_migrations_has_made_is_taken_over_with_its_events(
    postgres_url: str,
) -> None:
    made_by_the_library(postgres_url)
    with pytest.raises(WrongSchema, match="no schema yet"):
        require_newest(postgres_url)
    stock = {**postgres_settings(postgres_url)}
    del stock["APPLICATION_RECORDER_TOPIC"]
    log = EventLog(stock)
    log.events.put(recorded(STREAM, [COMPLETED]))  # type: ignore[arg-type]
    log.close()

    migrate(postgres_url)
    log = EventLog(postgres_settings(postgres_url))
    log.events.put(recorded(STREAM, [COMPLETED], first_version=2))  # type: ignore[arg-type]
    assert [each.id for each in log.recorder.select_notifications(None, 10)] == [1, 2]
    assert len(list(log.events.get(STREAM))) == 2
    log.close()
    assert query(postgres_url, "SELECT * FROM follower_positions") == [("outbox", "log", "log-1")]


def test_the_librarys_function_that_loses_events_is_gone(postgres_url: str) -> None:
    made_by_the_library(postgres_url)
    migrate(postgres_url)
    assert query(postgres_url, "SELECT 1 FROM pg_proc WHERE proname = 'es_insert_events_text'") == []


def test_an_empty_database_is_refused_and_told_which_command_makes_the_tables(postgres_url: str) -> None:
    with pytest.raises(WrongSchema) as refused:
        require_newest(postgres_url)
    assert str(refused.value) == "the event store has no schema yet; run: workflow-orchestrator migrate"


def test_what_a_newer_release_has_migrated_is_refused_and_left_alone(postgres_url: str) -> None:
    migrate(postgres_url)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (%s, 'from the future')", (NEWEST + 1,))
    for refuse in (require_newest, migrate):
        with pytest.raises(WrongSchema, match=f"version {NEWEST + 1}.* newer release") as refused:
            refuse(postgres_url)
        assert "\n" not in str(refused.value)


def test_a_migration_that_fails_leaves_nothing_behind(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Migration(NEWEST + 1, "broken", "CREATE TABLE half (id int); SELECT * FROM nowhere")
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, broken))
    with pytest.raises(UndefinedTable):
        migrate(postgres_url, to=NEWEST + 1)
    assert query(postgres_url, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'") == []


def test_whose_search_path_leads_elsewhere_has_the_tables_in_public_all_the_same(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE SCHEMA elsewhere")
    migrate(f"{postgres_url}?options=-csearch_path%3Delsewhere")
    require_newest(f"{postgres_url}?options=-csearch_path%3Delsewhere")
    assert query(postgres_url, "SELECT 1 FROM pg_tables WHERE schemaname = 'elsewhere'") == []


def test_a_migration_waits_for_a_dump_in_short_turns_and_lets_the_running_release_on(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that queues for a table would keep every later reader of it waiting as well."""
    monkeypatch.setattr(schema, "_LONGEST_WAIT", "100ms")
    monkeypatch.setattr(schema, "_PAUSE_SECONDS", 0.0)
    migrate(postgres_url, to=9)
    waited: list[str] = []
    with psycopg.connect(postgres_url) as dump, psycopg.connect(postgres_url, autocommit=True) as reader:
        dump.execute("LOCK TABLE audit_heads IN ACCESS SHARE MODE")

        def waiting(what: str) -> None:
            waited.append(what)
            reader.execute("SET statement_timeout = '5s'")
            reader.execute("SELECT count(*) FROM audit_heads")
            if len(waited) == 2:
                dump.rollback()

        applied = migrate(postgres_url, waiting=waiting)
    assert [each.version for each in applied] == [each.version for each in MIGRATIONS if each.version > 9]
    assert len(waited) >= 2
    assert "lock timeout" in waited[0]


def test_a_migration_gives_up_where_a_table_never_comes_free(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "_LONGEST_WAIT", "50ms")
    monkeypatch.setattr(schema, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(schema, "_TRIES", 3)
    migrate(postgres_url, to=9)
    waited: list[str] = []
    with psycopg.connect(postgres_url) as dump:
        dump.execute("LOCK TABLE audit_heads IN ACCESS SHARE MODE")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            migrate(postgres_url, waiting=waited.append)
    assert len(waited) == 2
