"""What `archive` leaves out is told, and an age that could be any is asked for again."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from config.start import CannotStart
from tests.archives import signing_settings
from tests.harness import service, settings_in
from tests.integration.test_archive import Archives, past_in

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry run", "run"])
async def test_what_nobody_has_followed_since_a_backup_is_told_of_and_archived_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dry_run: bool
) -> None:
    settings = signing_settings(tmp_path)
    archives = Archives(settings, tmp_path)
    await past_in(settings)
    for file in settings.storage.data_dir.glob("events-audit.db*"):
        file.unlink()
    with closing(sqlite3.connect(settings.storage.data_dir / "events.db")) as log:
        ((events,),) = log.execute("SELECT max(rowid) FROM stored_events").fetchall()
    await archives.archive(dry_run=dry_run)
    assert capsys.readouterr().out == (
        f"left out, since the audit index has not followed it yet: {events} events; let the service run"
        " until it has, then archive again\n"
    )
    await archives.archive(older_than="1d", dry_run=dry_run)
    assert capsys.readouterr().out == "nothing is to be archived\n"
    async with service(settings) as running:
        await running.caught_up()
    await archives.archive(dry_run=dry_run)
    told = capsys.readouterr().out
    assert " things, " in told
    assert "left out" not in told


@pytest.mark.parametrize("age", ["90", "7776000", "90 d", "90days", "-1d", ""])
async def test_an_age_needs_its_unit_and_that_is_said(tmp_path: Path, age: str) -> None:
    archives = Archives(settings_in(tmp_path), tmp_path)
    with pytest.raises(CannotStart) as refused:
        await archives.archive(older_than=age)
    assert str(refused.value).startswith(f"--older-than {age}: must be a number with its unit, such as 90d")
