"""Personal keys that a restore has not brought back: a start and a verification say so."""

import base64
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
import structlog

from application.privacy.ciphers import MasterKey, new_key
from application.privacy.keyring import Keyring
from application.privacy.ports import PersonalKeys
from application.privacy.sealing import PersonalNames, Sealing
from config.commands.erase import erase
from config.master_key import MASTER_KEY_FILE
from config.privacy import keys_as_they_are, open_personal
from config.sections import Settings
from config.start import CannotStart
from infrastructure.sqlite.audit_index import audit_file
from infrastructure.sqlite.personal_keys import keys_file
from tests.application.logs import UNVERIFIED
from tests.audit_trail import AuditedLog, audited_log, comment, kinds, verified_store
from tests.builders import NOW, OTHER_TENANT, TENANT, USER
from tests.harness import settings_in
from tests.infrastructure.cosmos_places import place_in

pytestmark = pytest.mark.anyio

MASTER = new_key()


class Restored(msgspec.Struct):
    """A log with sealed values, of USER in two tenants, and its keys."""

    settings: Settings
    log: AuditedLog
    keys: PersonalKeys

    def all(self) -> list[str]:
        """The ids of all keys."""
        return [id for id, _ in self.keys.page("", 1000)]

    def lose(self, ids: list[str]) -> None:
        """Have keys gone as a backup has not had them: nothing tells of it."""
        url = self.settings.storage.effective_event_store_url.get_secret_value()
        statement = f"DELETE FROM personal_keys WHERE id IN ({', '.join(repr(id) for id in ids)})"
        if url.startswith("sqlite:///"):
            with closing(sqlite3.connect(keys_file(Path(url.removeprefix("sqlite:///"))))) as file, file:
                file.execute(statement)
        elif self.settings.storage.is_in_cosmos:
            container = self.keys._container  # type: ignore[attr-defined]
            for item in container.query("keys", "FROM c WHERE IS_DEFINED(c.keyId)", {}):
                if item["keyId"] in ids:
                    container.batch("keys", [("delete", (item["id"],), {})])
        else:
            with psycopg.connect(url) as connection:
                connection.execute(statement.encode())

    async def start(self) -> list[Any]:
        """What a start says of them."""
        async with AsyncExitStack() as stack:
            with structlog.testing.capture_logs() as said:
                await open_personal(self.settings, stack)
        return [each for each in said if each["event"] == "personal_keys_lost"]

    async def verify(self) -> dict[str, Any]:
        return await verified_store(self.settings, self.log.public_key)


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("cosmos", marks=[pytest.mark.cosmos, UNVERIFIED]),
    ]
)
async def restored(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Restored]:
    environ: dict[str, Any] = {"PRIVACY_MASTER_KEY": base64.b64encode(MASTER).decode()}
    cosmos = None
    async with AsyncExitStack() as stack:
        if request.param == "postgres":
            environ["EVENT_STORE_URL"] = request.getfixturevalue("postgres_store_url")
        elif request.param == "cosmos":
            account = request.getfixturevalue("cosmos")
            cosmos = await stack.enter_async_context(place_in(account))
            environ |= {"EVENT_STORE_URL": "cosmos://", "RABBITMQ_URL": "amqp://nobody"}
            environ |= account.environ(cosmos.name)
        settings = settings_in(tmp_path, **environ)
        yield await filled(settings, stack, tmp_path, environ.get("EVENT_STORE_URL"), cosmos)


async def filled(
    settings: Settings, stack: AsyncExitStack, folder: Path, url: str | None, cosmos: Any
) -> Restored:
    settings.storage.data_dir.mkdir(parents=True)
    keys_file(settings.storage.data_dir / "events.db").touch()
    keys = await keys_as_they_are(settings, stack)
    assert keys is not None
    sealing = Sealing(Keyring(keys, MasterKey(MASTER), fresh_seconds=0), PersonalNames({}))
    log = await stack.enter_async_context(
        audited_log(folder, None if cosmos else url, sealing=sealing, cosmos=cosmos)
    )
    log.fill(each=2)
    await log.index()
    return Restored(settings, log, keys)


async def test_without_any_key_no_start_makes_one_and_the_trail_is_not_sound(restored: Restored) -> None:
    assert (await restored.start(), kinds(await restored.verify())) == ([], [])
    first, second = restored.all()
    restored.lose([first, second])
    with pytest.raises(CannotStart, match=r"has no key: put the keys back") as refused:
        await restored.start()
    assert first in str(refused.value) or second in str(refused.value)
    assert kinds(await restored.verify()) == ["key_lost", "key_lost"]
    assert restored.all() == []


async def test_keys_of_an_older_backup_are_told_and_given_up_in_words(
    restored: Restored, capsys: pytest.CaptureFixture[str]
) -> None:
    lost, _ = restored.all()
    restored.lose([lost])
    (said,) = await restored.start()
    assert (said["log_level"], said["keys"], said["key_ids"]) == ("error", 1, [lost])
    (found,) = (await restored.verify())["findings"]
    assert (found["kind"], found["tenantId"]) == ("key_lost", said["tenants"][0])
    assert lost in found["what"]
    await erase(restored.settings, None, None, None, dry_run=True, again=False, lost=True)
    assert capsys.readouterr().out == f"lost: tenant {found['tenantId']}, key {lost}\n"
    await erase(restored.settings, None, None, "gone with a disk", dry_run=False, again=False, lost=True)
    assert f"erased: tenant {found['tenantId']}, key {lost}" in capsys.readouterr().out
    await erase(restored.settings, None, None, None, dry_run=True, again=False, lost=True)
    await erase(restored.settings, None, None, None, dry_run=False, again=True)
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "nothing is lost",
        "nothing to erase again",
    ]
    assert await restored.start() == []
    await restored.log.index()
    assert kinds(await restored.verify()) == []


@pytest.mark.parametrize(
    ("whom", "given", "ignored"),
    [
        ((TENANT, USER), "again", "--tenant, --subject"),
        ((None, None), "again dry-run", "--dry-run"),
        ((None, None), "again lost", "--lost"),
        ((TENANT, None), "lost", "--tenant"),
    ],
)
async def test_an_option_that_would_be_ignored_is_refused_before_a_key_is_destroyed(
    tmp_path: Path, whom: tuple[str | None, str | None], given: str, ignored: str
) -> None:
    with pytest.raises(CannotStart, match=f"does not go with {ignored}$"):
        await erase(
            settings_in(tmp_path),
            *whom,
            None,
            dry_run="dry-run" in given,
            again="again" in given,
            lost="lost" in given,
        )


async def test_what_was_erased_is_not_lost(restored: Restored) -> None:
    """Neither before the log tells of it, nor after."""
    for tenant in (TENANT, OTHER_TENANT):
        restored.keys.destroy(tenant, [USER], None, NOW)
    assert (await restored.start(), kinds(await restored.verify())) == ([], [])
    await erase(restored.settings, TENANT, USER, None, dry_run=False, again=False, lost=False)
    assert restored.keys.untold() == []
    assert await restored.start() == []
    await restored.log.index()
    assert kinds(await restored.verify()) == []


@pytest.mark.parametrize("restored", ["sqlite"], indirect=True)
async def test_a_log_alone_gets_neither_keys_nor_a_master_key(restored: Restored, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    folder.mkdir(parents=True)
    there = restored.settings.storage.data_dir / "events.db"
    with closing(sqlite3.connect(there)) as source, closing(sqlite3.connect(folder / there.name)) as target:
        source.backup(target)
    settings = settings_in(folder.parent)
    for _ in range(2):
        async with AsyncExitStack() as stack:
            with pytest.raises(CannotStart, match="put the keys back"):
                await open_personal(settings, stack)
    assert not (folder / MASTER_KEY_FILE).exists()
    assert kinds(await verified_store(settings, restored.log.public_key)) == ["key_lost", "key_lost"]


@pytest.mark.parametrize("restored", ["sqlite"], indirect=True)
async def test_a_start_looks_at_a_bounded_part_of_the_log(
    restored: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And finds the newest keys there, also without the index."""
    monkeypatch.setattr("application.privacy.losses.MOST_EVENTS", 4)
    before = set(restored.all())
    late = msgspec.structs.replace(
        comment(TENANT, 1, 50), event=msgspec.structs.replace(comment(TENANT, 1, 50).event, by="late")
    )
    restored.log.log.recorder.insert_events([restored.log.log.stored(late)])
    (newest,) = set(restored.all()) - before
    (restored.settings.storage.data_dir / "events-audit.db").unlink()
    restored.lose([newest])
    (said,) = await restored.start()
    assert said["key_ids"] == [newest]


async def test_an_index_that_a_killed_start_left_without_tables_keeps_no_later_start_away(
    tmp_path: Path,
) -> None:
    settings = settings_in(tmp_path, PRIVACY_MASTER_KEY=base64.b64encode(MASTER).decode())
    async with AsyncExitStack() as stack:
        restored = await filled(settings, stack, tmp_path, None, None)
        audit_file(settings.storage.data_dir / "events.db").unlink()
        audit_file(settings.storage.data_dir / "events.db").touch()
        assert await restored.start() == []
