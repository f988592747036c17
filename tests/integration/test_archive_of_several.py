"""Archives of several tenants: one that cannot go does not hold up the others, and all come back at once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from anyio import to_thread
from click.testing import CliRunner

from application.archived_state import archived_leaf
from application.log_copy import Entry
from config.archive_commands import archive
from config.main import CommandLineActions
from config.start import CannotStart
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
        assert "is not what was hashed" in str(refused.value)
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
