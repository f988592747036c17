"""The service's role in PostgreSQL, which all databases of a server have in common."""

import psycopg

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
