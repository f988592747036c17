"""An erasure from the command line, beside a service: what reads as erased, and what is still proved."""

import fcntl
import json
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.harness import (
    OTHER_TENANT,
    PATIENCE_SECONDS,
    TENANT,
    ServiceProcess,
    run_command,
    service_process,
    start_command,
)

ASKED = {
    "opportunityId": "opp-417",
    "riskScore": 0.87,
    "amount": 250000,
    "payload": {
        "customerId": "c-9",
        "customerName": "Mr. Zebedee",
        "terms": [{"contactEmail": "z@example.org"}],
    },
}
SECRETS = ("quite fine by me", "Mr. Zebedee", "z@example.org")


def decided(client: httpx.Client) -> str:
    """An approval with a customer in it, which ada has approved with a comment."""
    id = client.post("/api/v1/hitl/approvals", json=ASKED).json()["id"]
    body = {"decidedBy": "ada", "comment": "quite fine by me"}
    answer = client.post(f"/api/v1/hitl/approvals/{id}/approve", json=body, headers={"X-User-ID": "ada"})
    assert answer.status_code == 200, answer.text
    position = {"X-Min-Position": answer.headers["x-position"], "Prefer": "wait=10"}
    assert client.get(f"/api/v1/hitl/approvals/{id}", headers=position).json()["status"] == "approved"
    assert client.get("/api/v1/audit/events", headers=position).status_code == 200
    return str(id)


def everything(client: httpx.Client, id: str) -> dict[str, str]:
    """All that the API tells of it."""
    paths = ("", "?asOf=1", "?asOf=2", "/events")
    told = {path: client.get(f"/api/v1/hitl/approvals/{id}{path}").text for path in paths}
    for path in ("/api/v1/hitl/approvals", "/api/v1/audit/events", "/api/v1/audit/export"):
        told[path] = client.get(path).text
    return told


def erase(environ: Mapping[str, str], *arguments: str) -> str:
    ended = run_command("erase", *arguments, timeout=60, **environ)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def until_erased(client: httpx.Client, id: str) -> dict[str, str]:
    until = time.monotonic() + 20
    while True:
        told = everything(client, id)
        if not any(secret in text for text in told.values() for secret in SECRETS):
            return told
        assert time.monotonic() < until, told
        time.sleep(0.1)


def settings(folder: Path) -> dict[str, dict[str, float]]:
    (folder / "settings.yaml").write_text("privacy: {fresh_seconds: 0.2}\n")
    return {"privacy": {"fresh_seconds": 0.2}}


def erased_everywhere(process: ServiceProcess, folder: Path) -> None:
    config = ("--config", str(folder / "settings.yaml"))
    environ: dict[str, str] = {
        **process.environ,
        "DATA_DIR": str(process.data_dir),
        "PORT": str(process.port),
    }
    with process.client() as client, process.client(OTHER_TENANT) as other:
        id, others = decided(client), decided(other)
        before = everything(client, id)
        assert all(SECRETS[0] in before[path] for path in ("", "?asOf=2", "/events", "/api/v1/audit/export"))
        held = folder / "before.ndjson"
        held.write_text(before["/api/v1/audit/export"])
        assert run_command("audit", "verify", "--export", str(held)).returncode == 0
        forged = folder / "forged.ndjson"
        forged.write_text(held.read_text().replace("quite fine by me", "only if it is insured"))
        assert "SHOWN_OTHERWISE" in run_command("audit", "verify", "--export", str(forged)).stdout
        dry = ("--tenant", TENANT, "--subject", "ada", "--dry-run")
        assert "of 1 stream are sealed" in erase(environ, *dry, *config)
        for subject in ("ada", "c-9", "opportunity:opp-417"):
            said = erase(environ, "--tenant", TENANT, "--subject", subject, *config)
            assert said.startswith(("erased: tenant", "nothing to erase"))
        said = erase(environ, "--tenant", TENANT, "--subject", "ada", *config)
        assert said.startswith("nothing to erase")
        told = until_erased(client, id)
        body = json.loads(told[""])
        assert (body["comment"], body["decidedBy"], body["status"]) == ("[erased]", "ada", "approved")
        assert body["payload"]["customerName"] == "[erased]"
        after = folder / "after.ndjson"
        after.write_text(told["/api/v1/audit/export"])
        sound = run_command("audit", "verify", "--export", str(after))
        assert sound.returncode == 0, sound.stdout
        assert "personal values are shown as erased" in sound.stdout
        kept = json.loads(everything(other, others)[""])
        assert (kept["comment"], kept["payload"]) == (SECRETS[0], ASKED["payload"])
        assert run_command("audit", "verify", timeout=60, **environ).returncode == 0
        verified = run_command("rebuild", "--verify", *config, timeout=60, **environ)
        assert verified.returncode == 0, verified.stdout
        rebuilt = run_command("rebuild", *config, timeout=60, **environ)
        assert rebuilt.returncode == 0, rebuilt.stderr
        until_erased(client, id)
    assert "quite fine by me" not in process.log


def test_what_is_erased_reads_so_everywhere_and_the_trail_still_verifies(tmp_path: Path) -> None:
    with service_process(tmp_path, overlay=settings(tmp_path)) as process:
        erased_everywhere(process, tmp_path)
    assert (tmp_path / "data" / "privacy-master.key").stat().st_mode & 0o777 == 0o600
    for file in (tmp_path / "data").glob("events*"):
        assert b"Zebedee" not in file.read_bytes(), file


def test_no_file_keeps_the_words_while_the_service_goes_on(tmp_path: Path) -> None:
    """Not the write-ahead log of the documents either."""
    with service_process(tmp_path, overlay=settings(tmp_path)) as process, process.client() as client:
        decided(client)
        assert telling(process.data_dir) == {"documents.db-wal"}
        config = ("--config", str(tmp_path / "settings.yaml"))
        for subject in ("ada", "c-9", "opportunity:opp-417"):
            erase({"DATA_DIR": str(process.data_dir)}, "--tenant", TENANT, "--subject", subject, *config)
        until = time.monotonic() + PATIENCE_SECONDS
        while left := telling(process.data_dir):
            assert time.monotonic() < until, left
            time.sleep(0.1)


def telling(folder: Path) -> set[str]:
    """The files in which the words stand."""
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    return {name for name, held in files.items() for secret in SECRETS if secret.encode() in held}


def test_no_file_keeps_the_words_where_no_service_is_at_work(tmp_path: Path) -> None:
    """It was killed, so that its write-ahead log is left; documents were rebuilt, so that there are pages of
    before; and another rebuild was killed."""
    with service_process(tmp_path, overlay=settings(tmp_path)) as process, process.client() as client:
        decided(client)
        process.kill()
    folder, config = process.data_dir, ("--config", str(tmp_path / "settings.yaml"))
    environ = {"DATA_DIR": str(folder)}
    rebuilt = run_command("rebuild", *config, timeout=60, **environ)
    assert rebuilt.returncode == 0, rebuilt.stderr
    with closing(sqlite3.connect(folder / "documents.db")) as documents, documents:
        documents.execute('CREATE TABLE "hitl_approvals--9" AS SELECT * FROM hitl_approvals')
    (folder / "rebuild.db").write_text(SECRETS[0])
    assert telling(folder) == {"documents.db", "rebuild.db"}
    said = ""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as by an archive, which makes no documents
        for subject in ("ada", "c-9", "opportunity:opp-417"):
            said += erase(environ, "--tenant", TENANT, "--subject", subject, *config)
    assert telling(folder) == set()
    assert f"documents in {folder} are made again\n" in said
    verified = run_command("rebuild", "--verify", *config, timeout=60, **environ)
    assert verified.returncode == 0, verified.stdout


@pytest.mark.postgres
@pytest.mark.rabbitmq
def test_the_same_in_postgresql(tmp_path: Path, postgres_store_url: str, rabbitmq_url: str) -> None:
    key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    with service_process(
        tmp_path,
        overlay=settings(tmp_path),
        RABBITMQ_URL=rabbitmq_url,
        EVENT_STORE_URL=postgres_store_url,
        PRIVACY_MASTER_KEY=key,
    ) as process:
        erased_everywhere(process, tmp_path)
    tables = text_of_tables(postgres_store_url)
    assert b"opp-417" in tables
    assert not [secret for secret in SECRETS if secret.encode() in tables]


def text_of_tables(url: str) -> bytes:
    """All that a dump of the database would have; events as text, not as hexadecimal digits."""
    found = b""
    with psycopg.connect(url) as connection:
        connection.execute("SET bytea_output = 'escape'")
        tables = connection.execute("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables").fetchall()
        for (table,) in tables:
            if not table.startswith(("pg_catalog.", "information_schema.")):
                with connection.cursor().copy(f"COPY {table} TO STDOUT".encode()) as rows:
                    found += b"".join(bytes(row) for row in rows)
    return found


def test_an_erasure_that_is_killed_is_completed_by_the_next(tmp_path: Path) -> None:
    """Killed while it waits for every process to let go: the key is gone, and nothing is told of it yet."""
    slow = tmp_path / "slow.yaml"
    slow.write_text("privacy: {fresh_seconds: 60}\n")
    with service_process(tmp_path, overlay=settings(tmp_path)) as process, process.client() as client:
        id = decided(client)
        environ = {"DATA_DIR": str(process.data_dir)}
        whom = ("--tenant", TENANT, "--subject", "ada")
        killed = start_command("erase", *whom, "--config", str(slow), **environ)
        with closing(sqlite3.connect(process.data_dir / "events-keys.db", timeout=10)) as keys:
            until = time.monotonic() + PATIENCE_SECONDS
            while not keys.execute("SELECT count(*) FROM personal_erasures").fetchone()[0]:
                assert time.monotonic() < until
                time.sleep(0.05)
        killed.kill()
        killed.communicate()
        assert client.get(f"/api/v1/hitl/approvals/{id}").json()["comment"] == SECRETS[0], "the document"
        said = erase(environ, *whom, "--config", str(tmp_path / "settings.yaml"))
        assert "sealed values of 1 stream" in said
        until = time.monotonic() + PATIENCE_SECONDS
        while client.get(f"/api/v1/hitl/approvals/{id}").json()["comment"] != "[erased]":
            assert time.monotonic() < until
            time.sleep(0.05)


def test_an_open_approval_whose_payload_is_erased_is_looked_at_again_and_what_was_agreed_counts(
    tmp_path: Path,
) -> None:
    stages = [
        {"name": name, "approvers": [{"user": who}]} for name, who in (("first", "ada"), ("last", "bob"))
    ]
    with service_process(tmp_path, overlay=settings(tmp_path)) as process, process.client() as client:
        asked = client.post("/api/v1/hitl/approvals", json={**ASKED, "policy": {"stages": stages}}).json()
        url, seen = f"/api/v1/hitl/approvals/{asked['id']}", asked["payloadDigest"]

        def approve(who: str, digest: str) -> httpx.Response:
            body = {"decidedBy": who, "payloadDigest": digest}
            return client.post(f"{url}/approve", json=body, headers={"X-User-ID": who})

        assert approve("ada", seen).json()["status"] == "pending"
        environ = {"DATA_DIR": str(process.data_dir)}
        whom = ("--tenant", TENANT, "--subject", "c-9", "--config", str(tmp_path / "settings.yaml"))
        erase(environ, *whom)
        stale = approve("bob", seen)
        assert (stale.status_code, stale.json()["error"]["code"]) == (409, "HITL_PAYLOAD_CHANGED")
        until = time.monotonic() + PATIENCE_SECONDS
        while (shown := client.get(url).json())["payload"]["customerName"] != "[erased]":
            assert time.monotonic() < until
            time.sleep(0.05)
        assert shown["payloadDigest"] == stale.json()["error"]["details"]["payloadDigest"] != seen
        assert approve("bob", shown["payloadDigest"]).json()["status"] == "approved"
