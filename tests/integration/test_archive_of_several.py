"""Archives of several tenants: one that cannot go does not hold up the others, and all come back at once."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from anyio import to_thread
from click.testing import CliRunner

from application.archive import archiving
from application.archive.archive_file import free
from application.archive.ports import Replacement
from application.archived_state import archived_leaf
from application.log_copy import Entry
from config.commands.archives import archive, restore
from config.folders import claim_for_archives
from config.main import CommandLineActions
from config.start import CannotStart
from infrastructure.sqlite.archive_log import SqliteArchiveLog
from interfaces.cli import command_line
from tests.audit_trail import AuditedLog, audited_log
from tests.builders import OTHER_TENANT, TENANT
from tests.chaos.test_archive_killed import append

pytestmark = pytest.mark.anyio

FIRST, LAST = sorted((TENANT, OTHER_TENANT))


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[AuditedLog]:
    """Two rejected approvals of each tenant."""
    async with audited_log(tmp_path) as opened:
        for number in range(2):
            for tenant in (TENANT, OTHER_TENANT):
                append(opened, tenant, number)
        await opened.anchor()
        yield opened


async def archive_all(log: AuditedLog, out: Path) -> None:
    await archive(log.settings, out, older_than="0s", tenant=None, reason=None, dry_run=False)


def archived_of(entries: list[Entry]) -> set[str]:
    return {each.stream.split("/")[0] for each in entries if archived_leaf(each.state) is not None}


async def test_an_edited_event_holds_back_its_tenant_alone(log: AuditedLog, tmp_path: Path) -> None:
    (edited, *_) = [each for each in await log.entries() if each.stream.startswith(FIRST)]
    log.sql(f"UPDATE stored_events SET state = replace(state, 'opp-1', 'opp-2') WHERE rowid = {edited.id}")
    out = tmp_path / "archives"
    for _ in range(2):
        with pytest.raises(CannotStart) as refused:
            await archive_all(log, out)
        assert f"{FIRST} is not archived: " in str(refused.value)
        assert "was changed after it was hashed" in str(refused.value)
        assert archived_of(await log.entries()) == {LAST}
        assert [each.name.startswith(LAST) for each in out.iterdir()] == [True]


async def test_the_files_of_a_folder_are_restored_by_one_command(log: AuditedLog, tmp_path: Path) -> None:
    before, out = await log.entries(), tmp_path / "archives"
    await archive_all(log, out)
    files = sorted(map(str, out.iterdir()))
    assert len(files) == 2
    environ = {"DATA_DIR": str(log.folder)}
    told = await to_thread.run_sync(
        lambda: CliRunner().invoke(
            command_line(CommandLineActions(), "0"), ["archive-restore", *files], env=environ
        )
    )
    assert told.exit_code == 0, told.output
    assert await log.entries() == before


async def test_an_archive_of_another_log_is_not_said_to_be_restored(log: AuditedLog, tmp_path: Path) -> None:
    await archive_all(log, tmp_path / "archives")
    (file, _) = sorted((tmp_path / "archives").iterdir())
    log.sql("DELETE FROM stored_events")
    with pytest.raises(CannotStart, match=f"{file}: this log has none of its events"):
        await restore(log.settings, [file], [])


async def test_a_damaged_archive_that_was_begun_is_named_and_holds_up_nothing_else(
    log: AuditedLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "archives"
    await archive_all(log, out)
    (first, _) = sorted(out.iterdir())
    whole, begun = first.read_bytes(), first.with_name(f"{first.name}.pending")
    first.rename(begun)
    begun.write_bytes(whole[:-40])
    foreign = out / f"{LAST}-20260101T000000Z-1.ndjson.gz.pending"
    foreign.write_bytes(b"no archive")
    for tenant in (TENANT, OTHER_TENANT):
        append(log, tenant, 7)
    await log.anchor()
    with pytest.raises(CannotStart) as refused:
        await archive_all(log, out)
    said = str(refused.value)
    assert f"{begun}: " in said
    assert "4 events were removed from the log for it" in said
    assert f"{foreign}: " in said
    assert "No events were removed for it: delete it" in said
    assert len([each for each in out.iterdir() if each.suffix == ".gz"]) == 3, "both tenants' new ones went"
    assert begun.read_bytes() == whole[:-40]
    assert all(archived_leaf(each.state) is not None for each in await log.entries())

    foreign.unlink()
    begun.write_bytes(whole)
    capsys.readouterr()
    await archive_all(log, out)
    assert f"{FIRST}: 0 things, 4 events: {first}" in capsys.readouterr().out
    assert first.read_bytes() == whole


async def test_no_archive_is_written_over_another(log: AuditedLog, tmp_path: Path) -> None:
    await archive_all(log, tmp_path / "archives")
    (first, _) = sorted((tmp_path / "archives").iterdir())
    for kept in (first, first.with_name(f"{first.name}.pending")):
        first.rename(kept)
        assert free(first).name == first.name.replace(".ndjson.gz", "-2.ndjson.gz")


async def test_two_at_once_do_not_write_to_one_folder(log: AuditedLog, tmp_path: Path) -> None:
    before, out = await log.entries(), tmp_path / "archives"
    async with AsyncExitStack() as stack:
        claim_for_archives(out, stack)
        half = out / f"{FIRST}-another.ndjson.gz.part"
        half.touch()
        with pytest.raises(CannotStart, match=f"another archive is writing to {out}"):
            await archive_all(log, out)
        assert half.exists()
        assert await log.entries() == before
    await archive_all(log, out)
    assert archived_of(await log.entries()) == {FIRST, LAST}


async def test_large_things_go_into_several_files(
    log: AuditedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "MOST_BYTES_IN_A_FILE", 1)
    out = tmp_path / "archives"
    await archive_all(log, out)
    assert len(list(out.iterdir())) == 4
    assert archived_of(await log.entries()) == {FIRST, LAST}


async def test_large_things_give_way_one_by_one(
    log: AuditedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    things: list[int] = []
    replace = SqliteArchiveLog.replace

    async def counted(
        archive: SqliteArchiveLog, replacements: Sequence[Replacement], ends: Sequence[tuple[str, int]]
    ) -> bool:
        things.append(len(ends))
        return await replace(archive, replacements, ends)

    monkeypatch.setattr(SqliteArchiveLog, "replace", counted)
    monkeypatch.setattr(archiving, "BATCH_BYTES", 1)
    await archive_all(log, tmp_path / "archives")
    assert things == [1, 1, 1, 1]
    assert archived_of(await log.entries()) == {FIRST, LAST}
