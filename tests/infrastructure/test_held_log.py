"""A log in PostgreSQL stands still while it is copied, and nobody else is at it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import psycopg
import pytest
from eventsourcing.persistence import OperationalError

from application.log_copy import CannotCopy
from infrastructure.postgres import held_log as module
from infrastructure.postgres.conninfo import conninfo
from infrastructure.postgres.held_log import held_log
from infrastructure.postgres.log_reader import read_postgres_log
from infrastructure.postgres.log_writer import write_postgres_log
from tests.moved_logs import NOTHING, appended, copied, filled, held, run
from tests.postgres import end_connections

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
async def source(tmp_path: Path) -> str:
    """A log in SQLite."""
    url = f"sqlite:///{tmp_path / 'events.db'}"
    await filled(url)
    return url


@contextmanager
def an_append_under_way(url: str) -> Iterator[psycopg.Connection]:
    """Another writer's transaction, which is committed at the end of the block."""
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(3051, 1)")
        connection.execute(
            "INSERT INTO workflow_orchestrator_events (originator_id, originator_version, topic, state)"
            " VALUES ('t/job/late', 1, 'test', '')"
        )
        yield connection


async def test_nobody_appends_while_the_log_is_read_and_everybody_may_afterwards(
    postgres_store_url: str,
) -> None:
    await filled(postgres_store_url)
    async with read_postgres_log(postgres_store_url) as reader:
        with pytest.raises(OperationalError, match="lock timeout"):
            await anyio.to_thread.run_sync(appended, postgres_store_url, "t/job/next", 1)
        assert await reader.count() == 1197
    assert appended(postgres_store_url, "t/job/next", 1) == [1201]


async def test_an_append_that_is_under_way_is_waited_for_and_read(postgres_store_url: str) -> None:
    counted: list[int] = []

    async def count() -> None:
        async with read_postgres_log(postgres_store_url) as reader:
            counted.append(await reader.count())

    async with anyio.create_task_group() as tasks:
        with an_append_under_way(postgres_store_url):
            tasks.start_soon(count)
            await anyio.sleep(0.3)
            assert not counted
    assert counted == [1]


async def test_what_others_do_without_the_lock_is_not_seen_while_reading(postgres_store_url: str) -> None:
    before = await filled(postgres_store_url)
    async with read_postgres_log(postgres_store_url) as reader:
        assert await reader.count() == 1197
        run(postgres_store_url, "DELETE FROM workflow_orchestrator_events", "DELETE FROM follower_positions")
        assert [len(batch) async for batch in reader.events()] == [500, 500, 197]
        assert len(await reader.positions()) == len(before.positions)


async def test_a_lock_that_is_not_given_back_is_told(
    source: str, postgres_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", "100ms")
    with (
        an_append_under_way(postgres_store_url),
        pytest.raises(CannotCopy, match=r"test_\w+ at 127.0.0.1: somebody else holds the log's lock"),
    ):
        await copied(source, postgres_store_url)
    with pytest.raises(CannotCopy, match="or the other side if it is the same database"):
        await copied(postgres_store_url, postgres_store_url.replace("127.0.0.1", "localhost"))


async def test_a_role_may_have_time_limits_and_a_copy_has_none(postgres_store_url: str) -> None:
    limits = "-cstatement_timeout%3D9s%20-cidle_in_transaction_session_timeout%3D9s"
    async with held_log(f"{postgres_store_url}?options={limits}") as connection:
        for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
            cursor = await connection.execute(f"SHOW {limit}".encode())
            assert await cursor.fetchone() == ("0",)


async def test_a_target_that_a_service_is_connected_to_is_refused(
    source: str, postgres_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEAVING_SECONDS", 0.1)
    with (
        psycopg.connect(conninfo(postgres_store_url)),
        pytest.raises(CannotCopy, match="a service is connected to it"),
    ):
        await copied(source, postgres_store_url)
    assert held(postgres_store_url) == NOTHING


async def test_a_source_that_a_service_is_connected_to_is_refused(
    postgres_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEAVING_SECONDS", 0.1)
    await filled(postgres_store_url)
    target = tmp_path / "events.db"
    with (
        psycopg.connect(conninfo(postgres_store_url)),
        pytest.raises(CannotCopy, match="a service is connected to it"),
    ):
        await copied(postgres_store_url, f"sqlite:///{target}")
    assert not target.exists()


async def test_a_service_that_comes_during_the_copy_is_seen_before_the_commit(
    postgres_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEAVING_SECONDS", 0.1)
    async with write_postgres_log(postgres_store_url) as writer:
        await writer.put_positions([])
        with (
            psycopg.connect(conninfo(postgres_store_url)),
            pytest.raises(CannotCopy, match="a service is connected to it"),
        ):
            await writer.finish()


async def test_a_service_that_has_just_stopped_is_given_time_to_leave(
    source: str, postgres_store_url: str
) -> None:
    async with anyio.create_task_group() as tasks:
        service = psycopg.connect(conninfo(postgres_store_url))
        tasks.start_soon(copied, source, postgres_store_url)
        await anyio.sleep(0.5)
        assert held(postgres_store_url) == NOTHING
        service.close()
    assert len(held(postgres_store_url).events) == 1197


async def test_where_the_same_log_is_there_a_service_may_run_on_it(
    source: str, postgres_store_url: str
) -> None:
    await copied(source, postgres_store_url)
    with psycopg.connect(conninfo(postgres_store_url)):
        assert (await copied(source, postgres_store_url)).was_there


async def cut_off(url: str) -> None:
    """Write, while the server ends the connection."""
    async with write_postgres_log(url) as writer:
        end_connections(url)
        with pytest.raises(CannotCopy, match=r"^test_\w+ at 127.0.0.1: "):
            await writer.put_positions([])


async def test_a_server_that_goes_away_is_told_also_at_the_commit(postgres_store_url: str) -> None:
    with pytest.raises(CannotCopy, match="run it again, which verifies what is there"):
        await cut_off(postgres_store_url)
    assert held(postgres_store_url) == NOTHING
