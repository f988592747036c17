"""The service's role in PostgreSQL, which all databases of a server have in common."""

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from infrastructure.postgres.archive_log import PostgresArchiveLog
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.schema import migrate
from tests.deploy.topology import OWNER, database_server, make_roles

ROLE = "workflow_orchestrator"


def test_it_is_given_another_database_and_another_password_by_the_same_file() -> None:
    with database_server() as url, psycopg.connect(url, autocommit=True) as connection:
        kept = "SELECT rolcanlogin, rolpassword FROM pg_authid WHERE rolname = %s"
        before = connection.execute(kept, [ROLE]).fetchone()
        connection.execute(f"CREATE DATABASE another OWNER {OWNER}")
        make_roles(url, "another", "another-password")
        after = connection.execute(kept, [ROLE]).fetchone()
        assert before is not None
        assert after is not None
        assert after[0], "it may log in"
        assert before[1] != after[1]
        with psycopg.connect(url, dbname="another", user=OWNER) as owner:
            owner.execute("CREATE TABLE rows (number int)")
        with psycopg.connect(url, dbname="another", user=ROLE) as service:
            service.execute("INSERT INTO rows VALUES (1)")


@pytest.mark.anyio
async def test_after_an_archive_the_owner_is_told_what_the_service_may_not_do() -> None:
    """PostgreSQL answers VACUUM of somebody else's table with a warning alone."""
    with database_server() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE archived OWNER {OWNER}")
        as_owner = make_conninfo(url, dbname="archived", user=OWNER)
        migrate(as_owner)
        make_roles(url, "archived", "a-password")
        as_service = make_conninfo(as_owner, user=ROLE)
        said = [await _tidied(each) for each in (as_owner, as_service)]
    assert said[0] is None
    assert "only table or database owner can vacuum it" in str(said[1]) or "permission denied" in str(said[1])
    assert str(said[1]).endswith("As the table's owner: VACUUM (ANALYZE) public.workflow_orchestrator_events")


async def _tidied(url: str) -> str | None:
    database = PostgresDatabase(url, size=1)
    await database.open()
    try:
        return await PostgresArchiveLog(database, NobodyElse()).tidy()
    finally:
        await database.close()


class NobodyElse:
    """Followers beside the log, of whom there are none."""

    async def handled_until(self, partition: str) -> tuple[int, str] | None:
        return None
