"""`migrate`, and what `serve` and `rebuild` say without it."""

import subprocess
from pathlib import Path

import psycopg
import pytest

from infrastructure.postgres.schema import NEWEST, migrate
from tests.command_line.test_commands import only_line
from tests.harness import run_command, service_process
from tests.neighbours import Names
from tests.services import free_port

MISSING = "the event store has no schema yet; run: workflow-orchestrator migrate"


def run(folder: Path, command: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return run_command(
        command,
        timeout=30,
        DATA_DIR=str(folder / "data"),
        PORT=str(free_port()),
        LOG_FORMAT="json",
        **environ,
    )


def refused(folder: Path, command: str, **environ: str) -> str:
    ended = run(folder, command, **environ)
    assert ended.returncode == 1
    assert ended.stdout == ""
    return only_line(ended.stderr)


@pytest.mark.postgres
@pytest.mark.parametrize("command", ["serve", "rebuild"])
def test_without_a_schema_one_line_says_which_command_to_run(
    command: str, tmp_path: Path, postgres_url: str
) -> None:
    assert refused(tmp_path, command, EVENT_STORE_URL=postgres_url) == MISSING


@pytest.mark.postgres
def test_on_an_older_schema_one_line_says_which_command_to_run(tmp_path: Path, postgres_url: str) -> None:
    migrate(postgres_url, to=1)
    line = refused(tmp_path, "serve", EVENT_STORE_URL=postgres_url)
    assert "version 1" in line
    assert line.endswith("run: workflow-orchestrator migrate")


@pytest.mark.postgres
@pytest.mark.parametrize("command", ["serve", "rebuild", "migrate"])
def test_a_newer_schema_is_refused_by_every_command(command: str, tmp_path: Path, postgres_url: str) -> None:
    migrate(postgres_url)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (%s, 'later')", (NEWEST + 1,))
    line = refused(tmp_path, command, EVENT_STORE_URL=postgres_url)
    assert f"version {NEWEST + 1}" in line
    assert "workflow-orchestrator of that release" in line


@pytest.mark.postgres
@pytest.mark.rabbitmq
def test_migrate_tells_what_it_did_and_then_the_service_runs(
    tmp_path: Path, postgres_url: str, rabbitmq_url: str
) -> None:
    first, second = (run(tmp_path, "migrate", EVENT_STORE_URL=postgres_url) for _ in range(2))
    assert (first.returncode, first.stderr) == (second.returncode, second.stderr) == (0, "")
    assert first.stdout.splitlines() == [
        "applied 0001 event_log",
        "applied 0002 append_in_one_order",
        "applied 0003 leases",
        "applied 0004 no_gaps",
        "applied 0005 step_calls",
        "applied 0006 audit",
        "applied 0007 personal_keys",
        "applied 0008 snapshots",
        "applied 0009 archive",
        "applied 0010 heads_without_an_index",
        f"the event store's schema is at version {NEWEST}",
    ]
    assert second.stdout.splitlines() == [f"the event store's schema is at version {NEWEST}"]
    environ = {"EVENT_STORE_URL": postgres_url, "RABBITMQ_URL": rabbitmq_url}
    overlay = Names.fresh().overlay()
    with service_process(tmp_path, overlay=overlay, **environ) as service, service.client() as client:
        body = {"opportunityId": "opp-1", "riskScore": 0.9, "amount": 1}
        assert client.post("/api/v1/hitl/approvals", json=body).status_code == 201


@pytest.mark.postgres
def test_a_service_without_a_broker_does_not_join_a_log_that_others_may_publish_from(
    tmp_path: Path, postgres_store_url: str
) -> None:
    line = refused(tmp_path, "serve", EVENT_STORE_URL=postgres_store_url)
    assert line.startswith("rabbitmq.url is not set")


@pytest.mark.postgres
def test_who_may_not_make_tables_is_told_so(tmp_path: Path, postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("REVOKE ALL ON SCHEMA public FROM public, postgres")
        connection.execute(
            "DO $$ BEGIN CREATE ROLE wo_reader LOGIN; EXCEPTION WHEN duplicate_object THEN END $$"
        )
    url = postgres_url.replace("postgres@", "wo_reader@", 1)
    try:
        line = refused(tmp_path, "migrate", EVENT_STORE_URL=url)
    finally:
        with psycopg.connect(postgres_url) as connection:
            connection.execute("DROP ROLE wo_reader")
    assert "cannot be migrated" in line
    assert "permission denied" in line or "no schema" in line


def test_sqlite_needs_no_migration(tmp_path: Path) -> None:
    ended = run(tmp_path, "migrate")
    assert ended.returncode == 0
    assert "nothing to migrate" in only_line(ended.stdout)
    assert not (tmp_path / "data").exists()


def test_a_store_that_stays_away_is_told(tmp_path: Path) -> None:
    url = f"postgresql://postgres@127.0.0.1:{free_port()}/none"
    ended = run(tmp_path, "migrate", EVENT_STORE_URL=url, STORE_STARTUP_TIMEOUT_SECONDS="1")
    assert ended.returncode == 1
    assert "was unavailable for 1 s" in ended.stderr.strip().splitlines()[-1]
    assert "Traceback" not in ended.stderr
