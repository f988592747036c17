"""``workflow-orchestrator audit``: what it prints, and how it ends."""

import gzip
import json
import os
import stat
import subprocess
from pathlib import Path

import anyio
import pytest

from application.archive.archive_file import NoArchive, verify
from config.commands.audit import make_key
from config.start import CannotStart
from infrastructure.signatures import signer_from
from tests.audit_trail import audited_log
from tests.builders import OTHER_TENANT, TENANT
from tests.harness import run_command


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A store with two tenants' events, anchored with a key that ``keygen`` has made."""
    made = run_command("audit", "keygen", str(tmp_path / "key.pem"))
    assert made.returncode == 0, made.stderr

    async def fill() -> None:
        signer = signer_from((tmp_path / "key.pem").read_bytes())
        async with audited_log(tmp_path, signer=signer) as log:
            log.fill(each=3)
            await log.anchor()

    anyio.run(fill)
    return {"DATA_DIR": str(tmp_path / "data"), "AUDIT_SIGNING_KEY_FILE": str(tmp_path / "key.pem")}


def audit(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return run_command("audit", *arguments, timeout=60, **environ)


def test_a_key_is_made_for_its_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    made = audit("keygen", str(tmp_path / "key.pem"))
    assert "key id: sha256:" in made.stdout
    assert stat.S_IMODE(os.stat(tmp_path / "key.pem").st_mode) == 0o600
    assert "PRIVATE" not in made.stdout + (tmp_path / "key.pub").read_text()
    before = (tmp_path / "key.pem").read_bytes()
    again = audit("keygen", str(tmp_path / "key.pem"))
    assert again.returncode == 1
    assert (tmp_path / "key.pem").read_bytes() == before


def test_no_private_key_is_left_where_the_public_one_cannot_be_written(tmp_path: Path) -> None:
    for name in ("key.pub", "other.pem"):
        (tmp_path / "other.pub").write_text("somebody else's")
        with pytest.raises(CannotStart):
            make_key(tmp_path / name)
    assert [each.name for each in tmp_path.iterdir()] == ["other.pub"]
    assert (tmp_path / "other.pub").read_text() == "somebody else's"


def test_an_export_is_written_and_verified_without_any_settings(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    file, key = tmp_path / "export.ndjson", tmp_path / "key.pub"
    written = audit("export", "--tenant", TENANT.upper(), "--out", str(file), **environ)
    assert (written.returncode, written.stderr) == (0, "")
    piped = audit("export", "--tenant", TENANT, "--actor", "service:crm", **environ)
    assert [json.loads(line)["kind"] for line in piped.stdout.splitlines()].count("event") == 3
    sound = audit("verify", "--export", str(file), "--public-key", str(key), PORT="not a port")
    assert (sound.returncode, sound.stderr) == (0, "")
    assert sound.stdout.endswith("SOUND: everything is as it was written\n")


def test_what_is_found_ends_with_1_and_what_cannot_be_told_with_2(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    file, key = tmp_path / "export.ndjson", tmp_path / "key.pub"
    audit("export", "--tenant", TENANT, "--out", str(file), **environ)
    file.write_text(file.read_text().replace("why 2", "why 3"))
    changed = audit("verify", "--export", str(file), "--public-key", str(key), "--json")
    assert changed.returncode == 1
    told = json.loads(changed.stdout)
    assert (told["sound"], {each["kind"] for each in told["findings"]}) == (False, {"edited"})
    for arguments in (
        ["--export", str(tmp_path / "nothing")],
        ["--export", str(key)],
        ["--export", str(file), "--public-key", str(tmp_path / "key.pem")],
        ["--export", str(file), "--anchors", str(file)],
    ):
        ended = audit("verify", *arguments)
        assert (ended.returncode, ended.stdout) == (2, ""), arguments
        assert ended.stderr.count("\n") == 1, ended.stderr


@pytest.mark.parametrize("damage", ["cut off", "a byte of it", "no gzip"])
def test_of_a_damaged_archive_or_anchor_file_nothing_can_be_told(
    tmp_path: Path, environ: dict[str, str], damage: str
) -> None:
    plain, key = tmp_path / "export.ndjson", tmp_path / "key.pub"
    audit("export", "--tenant", TENANT, "--out", str(plain), **environ)
    packed = gzip.compress(plain.read_bytes())
    middle = len(packed) // 2
    flipped = packed[:middle] + bytes([packed[middle] ^ 255]) + packed[middle + 1 :]
    file = tmp_path / "damaged.ndjson.gz"
    file.write_bytes({"cut off": packed[:middle], "a byte of it": flipped, "no gzip": b"{}"}[damage])
    signed = ("--public-key", str(key))
    for arguments in (
        ("--export", str(file), *signed),
        ("--export", str(plain), "--anchors", str(file), *signed),
        ("--anchors", str(file), *signed),
    ):
        ended = audit("verify", *arguments, **environ)
        assert (ended.returncode, ended.stdout) == (2, ""), arguments
        assert str(file) in ended.stderr
        assert ended.stderr.count("\n") == 1, ended.stderr
    with pytest.raises(NoArchive):
        verify(file, {})


def test_the_store_is_verified_and_its_heads_are_shown(tmp_path: Path, environ: dict[str, str]) -> None:
    sound = audit("verify", "--json", **environ)
    assert sound.returncode == 0, sound.stdout + sound.stderr
    told = json.loads(sound.stdout)
    assert (told["events"], told["anchors"], told["notes"]) == (18, 2, [])
    heads = [json.loads(line) for line in audit("head", "--json", **environ).stdout.splitlines()]
    assert [{name: head[name] for name in ("tenantId", "number", "hash")} for head in heads] == told["heads"]
    one = audit("head", "--tenant", OTHER_TENANT, **environ)
    assert one.stdout.split()[:2] == [OTHER_TENANT, "9"]


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    for arguments, code in ((["verify"], 2), (["head"], 1), (["export", "--tenant", TENANT], 1)):
        ended = audit(*arguments, DATA_DIR=str(tmp_path / "data"))
        assert ended.returncode == code
        assert "there is no event store" in ended.stderr
    assert not (tmp_path / "data").exists()


def test_without_an_index_the_anchors_tell(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "data" / "events-audit.db").unlink()
    told = json.loads(audit("verify", "--json", **environ).stdout)
    assert (told["sound"], told["anchors"]) == (True, 2)
    assert "there is no index" in told["notes"][0]
    assert not (tmp_path / "data" / "events-audit.db").exists()


def test_a_time_or_position_that_is_none_is_refused(environ: dict[str, str]) -> None:
    ended = audit("export", "--tenant", TENANT, "--after", "yesterday", **environ)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "neither a time with an offset nor a position" in ended.stderr


@pytest.mark.parametrize("option", ["--after", "--before"])
def test_a_position_of_another_log_is_refused(environ: dict[str, str], option: str) -> None:
    ended = audit("export", "--tenant", TENANT, option, "log-3-0123456789ab", **environ)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "not a position of this log" in ended.stderr


def test_anchors_that_are_none_are_told_loudly(tmp_path: Path, environ: dict[str, str]) -> None:
    export, key = tmp_path / "export.ndjson", tmp_path / "key.pub"
    empty, folder = tmp_path / "empty.ndjson", tmp_path / "folder"
    empty.touch()
    folder.mkdir()
    audit("export", "--tenant", TENANT, "--out", str(export), **environ)
    for given in (empty, folder):
        for what in (("--export", str(export)), ()):
            told = audit("verify", *what, "--public-key", str(key), "--anchors", str(given), **environ)
            *_, warning, verdict = told.stdout.splitlines()
            assert warning.startswith("WARNING: NOTHING WAS COMPARED WITH AN ANCHOR"), told
            assert verdict.startswith("SOUND")
    anchors = (tmp_path / "data" / "audit-anchors.ndjson").read_text().splitlines(keepends=True)
    (folder / "anchors.ndjson").write_text("".join(line for line in anchors if TENANT in line))
    told = audit("verify", "--json", "--anchors", str(folder), **environ)
    found = json.loads(told.stdout)
    assert found["anchors"] == 1
    assert found["warnings"] == [f"there is no anchor to compare with for {OTHER_TENANT}"]
