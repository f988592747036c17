"""A backup of an embedded store beside a service at work, and a service on what was copied."""

import os
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from application.privacy.ciphers import MasterKey
from config.commands.backup import backup
from config.master_key import MASTER_KEY_FILE
from config.start import CannotStart
from infrastructure.sqlite.personal_keys import SqlitePersonalKeys
from tests.builders import NOW, TENANT
from tests.harness import run_command, service_process, settings_in

ASKED = {"opportunityId": "opp-1", "riskScore": 0.9, "amount": 1, "payload": {"customerName": "Zebedee"}}


def decided(client: httpx.Client, number: int) -> str:
    asked = client.post("/api/v1/hitl/approvals", json={**ASKED, "opportunityId": f"opp-{number}"})
    id = str(asked.json()["id"])
    said = {"decidedBy": "ada", "comment": f"fine {number}"}
    told = client.post(f"/api/v1/hitl/approvals/{id}/approve", json=said, headers={"X-User-ID": "ada"})
    assert told.status_code == 200, told.text
    return id


def test_a_backup_beside_a_service_is_one_that_a_service_goes_on_with(tmp_path: Path) -> None:
    with service_process(tmp_path) as process, process.client() as client:
        approvals = [decided(client, number) for number in range(5)]
        environ: dict[str, Any] = {"DATA_DIR": str(process.data_dir)}
        copied = run_command("backup", str(tmp_path / "copies" / "1"), **environ)
        assert copied.returncode == 0, copied.stderr
        again = run_command("backup", str(tmp_path / "copies" / "1"), **environ)
        assert (again.returncode, "already exists" in again.stderr) == (1, True)
    names = {"events.db", "events-followers.db", "events-keys.db"}
    assert set(os.listdir(tmp_path / "copies" / "1")) == names
    assert copied.stdout.splitlines()[-1].startswith(f"not copied: {process.data_dir / MASTER_KEY_FILE}")
    restored = tmp_path / "restored"
    shutil.copytree(tmp_path / "copies" / "1", restored / "data")
    shutil.copy(process.data_dir / MASTER_KEY_FILE, restored / "data")
    with service_process(restored) as process, process.client() as client:
        for number, id in enumerate(approvals):
            waits = {"Prefer": "wait=10"}
            told = client.get(f"/api/v1/hitl/approvals/{id}", headers=waits).json()
            assert (told["comment"], told["payload"]["customerName"]) == (f"fine {number}", "Zebedee")
        assert "follower_starts_over" not in process.log
        sound = run_command("audit", "verify", DATA_DIR=str(process.data_dir))
        assert sound.returncode == 0, sound.stdout


@pytest.mark.anyio
async def test_half_an_erasure_gets_into_no_backup(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    data = settings.storage.data_dir
    data.mkdir()
    (data / "events.db").touch()
    keys = SqlitePersonalKeys(data / "events-keys.db")
    keys.put(TENANT, "ada", "k", MasterKey(bytes(32)).wrap("k", bytes(32)))
    keys.destroy(TENANT, ["ada"], None, NOW)
    with pytest.raises(CannotStart, match="an erasure is not complete"):
        await backup(settings, tmp_path / "copy")
    keys.note_told(1)
    await backup(settings, tmp_path / "copy")
    keys.close()
    assert {each.name for each in tmp_path.iterdir()} == {"copy", "data"}


@pytest.mark.anyio
async def test_what_a_killed_backup_has_left_is_told_and_stays(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "events.db").touch()
    half = tmp_path / "copy.half"
    half.mkdir()
    (half / "events.db").touch()
    with pytest.raises(CannotStart, match=rf"{half} is there already: .* or was killed.*, delete it"):
        await backup(settings, tmp_path / "copy")
    assert [each.name for each in half.iterdir()] == ["events.db"]
    shutil.rmtree(half)
    await backup(settings, tmp_path / "copy")
    assert (tmp_path / "copy").is_dir()


@pytest.mark.anyio
async def test_the_former_master_key_is_to_be_kept_too_where_a_rotation_was_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_in(tmp_path)
    data = settings.storage.data_dir
    data.mkdir()
    for name in ("events.db", MASTER_KEY_FILE, f"{MASTER_KEY_FILE}.before"):
        (data / name).touch()
    await backup(settings, tmp_path / "copy")
    told = capsys.readouterr().out.splitlines()[-1]
    assert f"not copied: {data / MASTER_KEY_FILE} and {data / MASTER_KEY_FILE}.before" in told


@pytest.mark.anyio
async def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    settings.storage.data_dir.mkdir()
    log = settings.storage.data_dir / "events.db"
    log.write_bytes(b"no database" * 100)
    with pytest.raises(CannotStart, match=f"{log} cannot be copied to .*: file is not a database"):
        await backup(settings, tmp_path / "copy")
    assert [each.name for each in tmp_path.iterdir()] == ["data"]


@pytest.mark.anyio
async def test_a_database_is_not_backed_up_by_it(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, EVENT_STORE_URL="postgresql://nobody@nowhere/x", RABBITMQ_URL="amqp://n")
    with pytest.raises(CannotStart, match="with its own tools"):
        await backup(settings, tmp_path / "copy")
