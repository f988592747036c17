"""An archive that is killed: each event is in the log or in a file, and another run finishes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from application.archive.archive_file import entries_in
from application.archived_state import archived_leaf
from application.audit.chain import leaf_of_entry
from application.log_copy import Entry
from config.commands.archives import archive, restore
from domain.approval import ApprovalRejected, ApprovalRequested, approval_stream
from domain.event import Event, Recorded
from infrastructure.signatures import signer_from
from tests.archives import signing_settings
from tests.audit_trail import AuditedLog, approval_id, audited_log, verified_store
from tests.builders import NOW, OTHER_TENANT, TENANT, USER, metadata
from tests.harness import run_module

pytestmark = pytest.mark.anyio

MOMENTS = ["written", "verified", "half", "given way"]


def append(log: AuditedLog, tenant: str, number: int) -> None:
    """An approval that was rejected."""
    id = approval_id(number)
    events: list[Event] = [
        ApprovalRequested(approval_id=id, opportunity_id="opp-1", risk_score=0.5, amount=3, requested_at=NOW),
        ApprovalRejected(approval_id=id, opportunity_id="opp-1", decided_by=USER, decided_at=NOW),
    ]
    log.log.recorder.insert_events(
        [
            log.log.stored(
                Recorded(
                    stream=approval_stream(tenant, id),
                    version=version,
                    timestamp=NOW,
                    meta=metadata(tenant=tenant),
                    event=event,
                )
            )
            for version, event in enumerate(events, start=1)
        ]
    )


async def stored(log: AuditedLog) -> Sequence[Entry]:
    return await log.entries()


@pytest.mark.parametrize(
    ("store", "moment"),
    [
        *(("sqlite", moment) for moment in MOMENTS),
        pytest.param("postgres", "half", marks=pytest.mark.postgres),
    ],
)
async def test_killed_at_any_moment_nothing_is_lost_and_another_run_finishes(
    store: str, moment: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_store_url") if store == "postgres" else None
    settings = signing_settings(tmp_path, EVENT_STORE_URL=url or "")
    signer = signer_from((tmp_path / "key.pem").read_bytes())
    environ: dict[str, str] = {
        "DATA_DIR": str(settings.storage.data_dir),
        "AUDIT_SIGNING_KEY_FILE": str(tmp_path / "key.pem"),
        "EVENT_STORE_URL": url or "",
    }
    out = tmp_path / "archives"
    asked = ["--out", str(out), "--older-than", "0s", "--tenant", TENANT]
    async with audited_log(tmp_path, url, signer) as log:
        for number in range(5):
            for tenant in (TENANT, OTHER_TENANT):
                append(log, tenant, number)
        await log.anchor()
        before = await stored(log)

        killed = run_module("tests.chaos.killed_archive", moment, *asked, timeout=60, **environ)
        assert killed.returncode == -9, killed.stderr
        assert await lost(log, before, out) == []
        gone = [entry for entry in await stored(log) if archived_leaf(entry.state) is not None]
        assert len(gone) == {"half": 4, "given way": 10}.get(moment, 0)
        assert (await log.verify())["sound"]

        await archive(settings, out, older_than="0s", tenant=TENANT, reason=None, dry_run=False)
        (file,) = out.iterdir()
        after = await stored(log)
        assert [archived_leaf(entry.state) for entry in after] == [
            leaf_of_entry(entry) if entry.stream.startswith(TENANT) else None for entry in before
        ]
        assert await lost(log, before, out) == []
        assert (await verified_store(log.settings, log.public_key))["sound"]

        await restore(settings, [file], [log.public_key])
        assert await stored(log) == before


async def lost(log: AuditedLog, before: Sequence[Entry], out: Path) -> list[Any]:
    """What is neither in the log as it was, nor in a file under the hash that the log has in its place."""
    now = {entry.id: entry for entry in await stored(log)}
    kept = {entry for file in out.glob("*.gz*") if file.suffix != ".part" for entry in entries_in(file)}
    assert now.keys() == {entry.id for entry in before}
    return [
        entry
        for entry in before
        if now[entry.id] != entry
        and not (entry in kept and archived_leaf(now[entry.id].state) == leaf_of_entry(entry))
    ]
