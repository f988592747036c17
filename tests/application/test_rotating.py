"""Another master key over all personal keys: whoever is killed repeats it, and nothing sealed is lost."""

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from application.event_log import EventLog
from application.privacy import rotating
from application.privacy.ciphers import MasterKey, WrongMasterKey, new_key
from application.privacy.rotating import Rotated, rotate
from config.commands.rotation import rotate_master_key
from config.cosmos import EVENTS
from config.folders import claim
from config.master_key import MASTER_KEY_FILE, former_key_file_of
from config.privacy import PersonalParts, open_personal
from config.settings import Settings
from config.start import CannotStart
from infrastructure.cosmos.event_store import cosmos_log_settings
from infrastructure.postgres.personal_keys import PostgresPersonalKeys
from infrastructure.sqlite.personal_keys import SqlitePersonalKeys, keys_file
from tests.application.logs import UNVERIFIED
from tests.builders import NOW, TENANT
from tests.cosmos import fresh_database
from tests.harness import settings_in

pytestmark = pytest.mark.anyio

SUBJECTS = [f"subject {number}" for number in range(7)]


class Killed(BaseException):
    """The process is no more."""


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[SqlitePersonalKeys]:
    with closing(SqlitePersonalKeys(tmp_path / "keys.db")) as keys:
        yield keys


def dies_at(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two keys go at a time; the process dies before so many have gone."""
    monkeypatch.setattr(rotating, "AT_ONCE", 2)
    rewrap, seen = SqlitePersonalKeys.rewrap, [0]

    def counted(self: SqlitePersonalKeys, wanted: Any) -> int:
        if seen[0] == number:
            raise Killed
        seen[0] += 1
        return rewrap(self, wanted)

    monkeypatch.setattr(SqlitePersonalKeys, "rewrap", counted)


async def test_every_key_opens_with_the_new_master_key_alone(keys: SqlitePersonalKeys) -> None:
    old, new, plain = new_key(), new_key(), {f"k{at:02}": new_key() for at in range(5)}
    for id, key in plain.items():
        keys.put(TENANT, id, id, MasterKey(old).wrap(id, key))
    with pytest.raises(WrongMasterKey):
        await rotate(keys, MasterKey(new))
    assert await rotate(keys, MasterKey(new, old)) == Rotated(5, 5)
    assert {id: MasterKey(new).unwrap(id, wrapped) for id, wrapped in keys.page("", 10)} == plain
    assert await rotate(keys, MasterKey(new, old)) == Rotated(5, 0)


async def test_a_key_that_is_destroyed_meanwhile_does_not_come_back(
    keys: SqlitePersonalKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = new_key(), new_key()
    for id in ("k1", "k2"):
        keys.put(TENANT, id, id, MasterKey(old).wrap(id, new_key()))
    rewrap = SqlitePersonalKeys.rewrap

    def destroying(self: SqlitePersonalKeys, wanted: Any) -> int:
        self.destroy(TENANT, ["k1"], None, NOW)
        return rewrap(self, wanted)

    monkeypatch.setattr(SqlitePersonalKeys, "rewrap", destroying)
    assert await rotate(keys, MasterKey(new, old)) == Rotated(1, 1)
    assert [id for id, _ in keys.page("", 10)] == ["k2"]


async def test_a_key_that_was_not_wrapped_anew_is_come_back_to(
    keys: SqlitePersonalKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = new_key(), new_key()
    keys.put(TENANT, "ada", "k1", MasterKey(old).wrap("k1", new_key()))
    rewrap, asked = SqlitePersonalKeys.rewrap, 0

    def too_late_at_first(self: SqlitePersonalKeys, wanted: Any) -> int:
        nonlocal asked
        asked += 1
        return rewrap(self, wanted) if asked > 1 else 0

    monkeypatch.setattr(SqlitePersonalKeys, "rewrap", too_late_at_first)
    assert await rotate(keys, MasterKey(new, old)) == Rotated(1, 1)


@pytest.fixture
async def embedded(tmp_path: Path) -> Settings:
    """A store with keys, and a master key that nobody has configured."""
    settings = settings_in(tmp_path)
    async with opened(settings, makes_one=True) as personal:
        assert personal.sealing is not None
        for subject in SUBJECTS:
            personal.sealing.keyring.key_of(TENANT, subject)
        (settings.storage.data_dir / "events.db").touch()
    return settings


@asynccontextmanager
async def opened(settings: Settings, *, makes_one: bool = False) -> AsyncIterator[PersonalParts]:
    """The keys as a process opens them."""
    settings.storage.data_dir.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        yield await open_personal(settings, stack, as_they_are=not makes_one)


async def plain_keys(settings: Settings) -> dict[str, bytes]:
    """Every key, opened."""
    async with opened(settings) as personal:
        assert personal.sealing is not None
        return {subject: personal.sealing.keyring.key_of(TENANT, subject)[1] for subject in SUBJECTS}


@pytest.mark.parametrize("moment", [0, 1, 3])
async def test_an_embedded_store_gets_another_key_and_whoever_is_killed_repeats_it(
    embedded: Settings, moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = embedded.storage.data_dir / MASTER_KEY_FILE
    before, first = await plain_keys(embedded), file.read_bytes()
    with monkeypatch.context() as patched:
        dies_at(moment, patched)
        with pytest.raises(Killed):
            await rotate_master_key(embedded)
    assert former_key_file_of(file).read_bytes() == first
    second = file.read_bytes()
    assert second != first
    assert await plain_keys(embedded) == before, "whoever starts now has both"
    await rotate_master_key(embedded)
    assert await plain_keys(embedded) == before
    assert (file.read_bytes(), former_key_file_of(file).exists()) == (second, False)
    assert file.stat().st_mode & 0o777 == 0o600
    held = b"".join(each.read_bytes() for each in embedded.storage.data_dir.iterdir())
    assert first.strip() not in held


async def test_killed_before_the_new_key_is_in_its_place_a_rotation_makes_one(embedded: Settings) -> None:
    file = embedded.storage.data_dir / MASTER_KEY_FILE
    before, first = await plain_keys(embedded), file.read_bytes()
    former_key_file_of(file).hardlink_to(file)
    assert await plain_keys(embedded) == before
    await rotate_master_key(embedded)
    assert file.read_bytes() != first
    assert await plain_keys(embedded) == before


async def test_a_configured_key_is_replaced_by_another(
    embedded: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = embedded.storage.data_dir.parent
    old = (embedded.storage.data_dir / MASTER_KEY_FILE).read_text().strip()
    new, before = base64.b64encode(new_key()).decode(), await plain_keys(embedded)
    alone = settings_in(folder, PRIVACY_MASTER_KEY=new)
    with pytest.raises(CannotStart, match="is not the one that was used before"):
        await plain_keys(alone)
    with pytest.raises(CannotStart, match=r"privacy\.other_master_key"):
        await rotate_master_key(alone)
    both = settings_in(folder, PRIVACY_MASTER_KEY=new, PRIVACY_OTHER_MASTER_KEY=old)
    assert await plain_keys(both) == before
    await rotate_master_key(both)
    assert "7 of 7 personal keys" in capsys.readouterr().out
    assert await plain_keys(alone) == before
    file = keys_file(embedded.storage.data_dir / "events.db")
    with pytest.raises(CannotStart):
        await plain_keys(settings_in(folder, PRIVACY_MASTER_KEY=old))
    assert file.is_file()


@pytest.mark.parametrize(
    "store",
    [
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("cosmos", marks=[pytest.mark.cosmos, UNVERIFIED]),
    ],
)
async def test_keys_of_a_shared_store_are_wrapped_anew(
    store: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (base64.b64encode(new_key()).decode() for _ in range(2))
    place = shared_store(store, request)
    before = await plain_keys(settings_in(tmp_path, PRIVACY_MASTER_KEY=old, **place))
    both = settings_in(tmp_path, PRIVACY_MASTER_KEY=new, PRIVACY_OTHER_MASTER_KEY=old, **place)
    monkeypatch.setattr(rotating, "AT_ONCE", 2)
    await rotate_master_key(both)
    alone = settings_in(tmp_path, PRIVACY_MASTER_KEY=new, **place)
    assert await plain_keys(alone) == before
    async with opened(alone) as personal:
        assert len(personal.keys.page("", 100)) == len(SUBJECTS), "none was made anew"


@pytest.mark.postgres
@pytest.mark.parametrize("made", [1, 3, 0])
async def test_while_another_process_wraps_with_the_former_key_it_is_not_given_away(
    made: int, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """That process also has the next key, as its other one, as in a rollout that is half done."""
    old, new = (base64.b64encode(new_key()).decode() for _ in range(2))
    place = shared_store("postgres", request)
    behind = settings_in(tmp_path, PRIVACY_MASTER_KEY=old, PRIVACY_OTHER_MASTER_KEY=new, **place)
    both = settings_in(tmp_path, PRIVACY_MASTER_KEY=new, PRIVACY_OTHER_MASTER_KEY=old, **place)
    await plain_keys(behind)
    page, passes = PostgresPersonalKeys.page, 0
    async with opened(behind) as other:
        assert other.sealing is not None
        keyring = other.sealing.keyring

        def while_somebody_new_turns_up(self: PostgresPersonalKeys, after: str, limit: int) -> Any:
            nonlocal passes
            passes += not after
            if passes == 3 and not after:
                for number in range(made):
                    keyring.key_of(TENANT, f"new {number}")
            return page(self, after, limit)

        monkeypatch.setattr(PostgresPersonalKeys, "page", while_somebody_new_turns_up)
        if made:
            were = "1 key was" if made == 1 else "3 keys were"
            with pytest.raises(CannotStart, match=f"{were} wrapped with the former .* since this run began"):
                await rotate_master_key(both)
        else:
            await rotate_master_key(both)
    told = capsys.readouterr().out
    assert f"{len(SUBJECTS) + made} of {len(SUBJECTS) + made} personal keys" in told
    assert ("is no longer needed if every process had" in told) is (not made)
    master = MasterKey(base64.b64decode(new))
    assert (f"({master.fingerprint})" in told) is (not made)
    monkeypatch.undo()
    await plain_keys(settings_in(tmp_path, PRIVACY_MASTER_KEY=new, **place))


def test_a_fingerprint_tells_keys_apart_whatever_else_they_open() -> None:
    old, new = new_key(), new_key()
    assert MasterKey(old).fingerprint == MasterKey(old, new).fingerprint != MasterKey(new, old).fingerprint
    assert len(MasterKey(old).fingerprint) == 8


def shared_store(store: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The variables of one, with a log in it."""
    if store == "postgres":
        return {"EVENT_STORE_URL": request.getfixturevalue("postgres_store_url")}
    account, database = request.getfixturevalue("cosmos"), fresh_database()
    EventLog(cosmos_log_settings(account.endpoint, account.key, database=database, container=EVENTS)).close()
    return {"EVENT_STORE_URL": "cosmos://", "RABBITMQ_URL": "amqp://nobody", **account.environ(database)}


async def test_beside_a_service_an_embedded_key_is_not_changed(embedded: Settings) -> None:
    async with AsyncExitStack() as service:
        claim(embedded.storage.data_dir, "storage.data_dir", service)
        with pytest.raises(CannotStart, match="in use"):
            await rotate_master_key(embedded)
    assert not former_key_file_of(embedded.storage.data_dir / MASTER_KEY_FILE).exists()


@pytest.mark.parametrize("is_rotating", [False, True])
async def test_in_the_place_of_a_lost_master_key_none_is_made(embedded: Settings, is_rotating: bool) -> None:
    """Not in a start, a command, or a rotation: a backup would take a worthless key over the good one."""
    file, before = embedded.storage.data_dir / MASTER_KEY_FILE, await plain_keys(embedded)
    if is_rotating:
        former_key_file_of(file).hardlink_to(file)
    kept, there = file.rename(embedded.storage.data_dir.parent / "kept"), set(file.parent.iterdir())
    missing = f"{file} is missing, but there are personal keys"
    for makes_one in (True, False):
        with pytest.raises(CannotStart, match=missing):
            async with opened(embedded, makes_one=makes_one):
                pass
    with pytest.raises(CannotStart, match=missing):
        await rotate_master_key(embedded)
    assert set(file.parent.iterdir()) - {file.parent / ".lock"} == there
    kept.rename(file)
    assert await plain_keys(embedded) == before


async def test_a_master_key_is_made_where_every_personal_key_was_destroyed(embedded: Settings) -> None:
    async with opened(embedded) as personal:
        personal.keys.destroy(TENANT, SUBJECTS, None, NOW)
    (embedded.storage.data_dir / MASTER_KEY_FILE).unlink()
    async with opened(embedded, makes_one=True) as personal:
        assert personal.sealing is not None


async def test_a_wrong_master_key_is_told_by_its_file_and_a_rotation_leaves_it_alone(
    embedded: Settings,
) -> None:
    file = embedded.storage.data_dir / MASTER_KEY_FILE
    file.write_bytes(wrong := base64.b64encode(new_key()))
    told = f"the master key in {file} is not the one that was used before"
    with pytest.raises(CannotStart, match=told):
        await plain_keys(embedded)
    with pytest.raises(CannotStart, match=told):
        await rotate_master_key(embedded)
    assert (file.read_bytes(), former_key_file_of(file).exists()) == (wrong, False)
