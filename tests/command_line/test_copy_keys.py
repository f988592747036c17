"""`copy-log` takes the personal keys along: what is sealed reads in the new store as in the old one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from application.privacy.ciphers import MasterKey, new_key
from application.privacy.keyring import Keyring
from application.privacy.sealing import PersonalNames, Sealing
from config.commands.copy_log import copy_log
from config.settings import load_settings
from config.start import CannotStart
from domain.approval import ApprovalCommented
from domain.privacy import ERASED
from infrastructure.postgres.personal_keys import PostgresPersonalKeys
from infrastructure.sqlite.checkpoints import SqliteCheckpoints
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.event_store import followers_file
from infrastructure.sqlite.personal_keys import SqlitePersonalKeys, keys_file
from infrastructure.sqlite.step_calls import SqliteStepCalls
from infrastructure.sqlite.timers import SqliteTimers
from tests.audit_trail import audited_log, stream
from tests.builders import NOW, OTHER_TENANT, TENANT, USER
from tests.harness import run_command

MASTER = MasterKey(new_key())


def sealing(keys: SqlitePersonalKeys | PostgresPersonalKeys) -> Sealing:
    return Sealing(Keyring(keys, MASTER, fresh_seconds=0), PersonalNames({}))


@contextmanager
def sealed_log(folder: Path) -> Iterator[tuple[str, SqlitePersonalKeys]]:
    """A log in SQLite with comments of two tenants, and its keys."""
    path = folder / "data" / "events.db"
    path.parent.mkdir()
    with closing(SqlitePersonalKeys(keys_file(path))) as keys:

        async def fill() -> None:
            async with audited_log(folder, sealing=sealing(keys)) as log:
                log.fill(each=2)
            with closing(SqliteDatabase(followers_file(path), synchronous="NORMAL")) as followers:
                for part in (SqliteCheckpoints, SqliteTimers, SqliteStepCalls):
                    await part(followers).create()

        anyio.run(fill)
        yield f"sqlite:///{path}", keys


def texts(folder: Path, url: str, tenant: str) -> set[str]:
    """What was said, as the store in PostgreSQL tells it."""

    async def read() -> set[str]:
        with closing(PostgresPersonalKeys(url)) as keys:
            async with audited_log(folder, url, sealing=sealing(keys)) as log:
                past = await log.store.load(stream(tenant, 0))
                return {each.event.text for each in past if isinstance(each.event, ApprovalCommented)}

    return anyio.run(read)


@pytest.mark.postgres
def test_what_is_sealed_reads_in_the_new_store_as_in_the_old_one(
    tmp_path: Path, postgres_store_url: str
) -> None:
    with sealed_log(tmp_path) as (source, keys):
        keys.destroy(OTHER_TENANT, [USER], None, NOW)
        (erasure,) = keys.untold()
        refused = run_command("copy-log", "--from", source, "--to", postgres_store_url, timeout=60)
        assert refused.returncode == 1
        assert "an erasure is not complete" in refused.stderr
        assert texts(tmp_path, postgres_store_url, TENANT) == set(), "nothing is kept"
        keys.note_told(erasure.number)
        copied = run_command("copy-log", "--from", source, "--to", postgres_store_url, timeout=60)
        assert copied.returncode == 0, copied.stderr
        assert "1 personal keys: the new store needs the same privacy master key" in copied.stdout
    assert texts(tmp_path, postgres_store_url, TENANT) == {"why 1", "why 2"}
    assert texts(tmp_path, postgres_store_url, OTHER_TENANT) == {ERASED}


def test_keys_that_are_not_the_sources_are_told_instead_of_mixed(tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    to = tmp_path / "to" / "events.db"

    def refused(source: str) -> str:
        copied = run_command("copy-log", "--from", source, "--to", f"sqlite:///{to}", timeout=60)
        assert copied.returncode == 1
        return str(copied.stderr)

    with sealed_log(tmp_path) as (source, _), closing(SqlitePersonalKeys(keys_file(to))) as there:
        there.put("a third tenant", USER, "theirs", b"wrapped")
        assert "the target has personal keys that the source does not have" in refused(source)
        keys_file(to).unlink()
    with closing(SqlitePersonalKeys(keys_file(to))) as there:
        there.put(TENANT, USER, "another", b"wrapped")
    assert "the target has a different personal key for the same person" in refused(source)


def test_an_erasure_that_comes_meanwhile_is_not_undone_by_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sealed_log(tmp_path) as (source, keys):
        (tmp_path / "to").mkdir()
        to = tmp_path / "to" / "events.db"
        add = SqlitePersonalKeys.add

        def erased_meanwhile(self: SqlitePersonalKeys, some: Any) -> None:
            add(self, some)
            keys.destroy(OTHER_TENANT, [USER], None, NOW)

        monkeypatch.setattr(SqlitePersonalKeys, "add", erased_meanwhile)
        with pytest.raises(CannotStart, match="a person was erased meanwhile"):
            anyio.run(copy_log, load_settings(environ={}), source, f"sqlite:///{to}")
    with closing(sqlite3.connect(to)) as there:
        assert there.execute("SELECT count(*) FROM stored_events").fetchone() == (0,)
