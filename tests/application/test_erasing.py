"""An erasure that dies between any two of its steps is completed by the next one; nothing is told twice."""

import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from application.privacy import erasing
from application.privacy.ciphers import MasterKey, new_key
from application.privacy.erasing import Erasing, UnderKey
from application.privacy.keyring import Keyring
from application.privacy.ports import PersonalKeys
from application.privacy.sealing import PersonalNames, Sealing
from domain.approval import ApprovalCommented
from domain.event import Event
from domain.privacy import ERASED, ErasureCarriedOut, kept_subject
from infrastructure.sqlite.personal_keys import SqlitePersonalKeys
from tests.audit_trail import AuditedLog, audited_log, comment, keys_beside_log, kinds, stream
from tests.builders import OTHER_TENANT, TENANT, USER, SettableClock

pytestmark = pytest.mark.anyio

STEPS = ("destroy", "wait", "untold", "sealed_streams", "execute", "note_told")


class Killed(BaseException):
    """The process is no more."""


class Dying:
    """Stands before something, and dies before or after the call with a name."""

    def __init__(self, within: Any, name: str, *, after: bool) -> None:
        self._within = within
        self._name = name
        self._after = after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._within, name)
        if name != self._name:
            return found
        return self._before_or_after(found)

    def _before_or_after(self, found: Callable[..., Any]) -> Callable[..., Any]:
        def dies(*arguments: Any, **keywords: Any) -> Any:
            if not self._after:
                raise Killed
            done = found(*arguments, **keywords)
            if not hasattr(done, "__await__"):
                raise Killed

            async def then_dies() -> None:
                await done
                raise Killed

            return then_dies()

        return dies


class Late:
    """An index whose follower comes on just after a question was answered."""

    def __init__(self, log: AuditedLog, name: str) -> None:
        self._log = log
        self._name = name

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._log.stores.index, name)
        if name != self._name:
            return found

        async def answers(*arguments: Any, **keywords: Any) -> Any:
            answer = await found(*arguments, **keywords)
            await self._log.index()
            return answer

        return answers


class Case:
    """A log with comments of two tenants' user of one id, and what erases."""

    def __init__(self, folder: Path, log: AuditedLog, keys: SqlitePersonalKeys, master: MasterKey) -> None:
        self.folder = folder
        self.log = log
        self.keys = keys
        self.master = master
        self.remade: list[str] = []

    def erasing(self, dies_at: str = "", *, after: bool = False, index: Any = None) -> Erasing:
        def within(part: Any) -> Any:
            return Dying(part, dies_at, after=after)

        async def wait() -> None:
            if dies_at == "wait":
                raise Killed

        store, index = within(self.log.store), within(index or self.log.stores.index)
        keys: PersonalKeys = within(self.keys)
        return Erasing(
            store, self.log.stores.log, index, keys, SettableClock(), wait=wait, remake=self.remake
        )

    async def remake(self, streams: Sequence[str]) -> None:
        """Documents are elsewhere."""
        self.remade = [*streams]

    async def texts(self, tenant: str) -> list[str]:
        events = [await self.log.store.load(stream(tenant, number)) for number in range(3)]
        return [
            each.event.text for past in events for each in past if isinstance(each.event, ApprovalCommented)
        ]

    async def told(self) -> list[Event]:
        batch = await self.log.store.read("log", None, 1000)
        assert batch is not None
        return [each.event for each in batch.events if isinstance(each.event, ErasureCarriedOut)]


@asynccontextmanager
async def case(folder: Path) -> AsyncIterator[Case]:
    file = keys_beside_log(folder)
    keys, master = SqlitePersonalKeys(file), MasterKey(new_key())
    sealing = Sealing(Keyring(keys, master, fresh_seconds=0), PersonalNames({}))
    try:
        async with audited_log(folder, sealing=sealing) as log:
            log.fill(each=4)
            yield Case(folder, log, keys, master)
    finally:
        keys.close()


@pytest.mark.parametrize("is_indexed", [True, False])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS)
async def test_an_erasure_that_died_is_completed_by_the_next(
    tmp_path: Path, step: str, after: bool, is_indexed: bool
) -> None:
    async with case(tmp_path) as erased:
        if is_indexed:
            await erased.log.index()
        with pytest.raises(Killed):
            await erased.erasing(step, after=after).erase(TENANT, USER, "request 17")
        await erased.erasing().erase(TENANT, USER, "request 17")
        (event,) = await erased.told()
        assert isinstance(event, ErasureCarriedOut)
        assert set(event.streams) == {stream(TENANT, number) for number in range(3)}
        assert event.reason == "request 17"
        assert set(erased.remade) == set(event.streams)
        assert await erased.erasing().erase(TENANT, USER, None) == []
        assert set(await erased.texts(TENANT)) == {ERASED}
        assert ERASED not in await erased.texts(OTHER_TENANT)
        await erased.log.index()
        assert kinds(await erased.log.verify()) == []


async def test_streams_that_are_found_only_by_the_repetition_are_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sealed before the erasure, and stored after it was killed between two of its events."""
    monkeypatch.setattr(erasing, "STREAMS_AN_EVENT", 2)
    async with case(tmp_path) as erased:
        before_all = f"{TENANT}/aardvark/1"
        late = erased.log.log.stored(msgspec.structs.replace(comment(TENANT, 9, 1), stream=before_all))
        first = {stream(TENANT, number) for number in range(3)}
        with pytest.raises(Killed):
            await erased.erasing("execute", after=True).erase(TENANT, USER, None)
        erased.log.log.recorder.insert_events([late])
        found = first | {before_all}
        await erased.erasing().erase(TENANT, USER, None)
        told = [event for event in await erased.told() if isinstance(event, ErasureCarriedOut)]
        assert {each for event in told for each in event.streams} == found
        assert await erased.erasing().erase(TENANT, USER, None) == []


async def test_streams_that_are_indexed_between_two_looks_are_found(tmp_path: Path) -> None:
    async with case(tmp_path) as erased:
        (told,) = await erased.erasing(index=Late(erased.log, "sealed_streams")).erase(TENANT, USER, None)
        assert told.streams == 3
        assert set(erased.remade) == {stream(TENANT, number) for number in range(3)}


@asynccontextmanager
async def keys_brought_back(folder: Path) -> AsyncIterator[Case]:
    """A case in which a backup of the keys was put back after an erasure."""
    async with case(folder) as erased:
        shutil.copy(keys_beside_log(folder), folder / "backup.db")
        await erased.erasing().erase(TENANT, USER, None)
        erased.keys.close()
        shutil.copy(folder / "backup.db", keys_beside_log(folder))
        restored = SqlitePersonalKeys(keys_beside_log(folder))
        sealing = Sealing(Keyring(restored, erased.master, fresh_seconds=0), PersonalNames({}))
        async with audited_log(folder, sealing=sealing) as log:
            again = Case(folder, log, restored, erased.master)
            assert ERASED not in await again.texts(TENANT)
            yield again
        restored.close()


@pytest.mark.parametrize("late", ["", "heads"])
async def test_keys_that_a_backup_has_brought_back_are_destroyed_again(tmp_path: Path, late: str) -> None:
    async with keys_brought_back(tmp_path) as again:
        (told,) = await again.erasing(index=Late(again.log, late)).erase_again()
        assert (told.tenant, told.streams) == (TENANT, 3)
        assert set(await again.texts(TENANT)) == {ERASED}
        assert ERASED not in await again.texts(OTHER_TENANT)


async def test_what_is_under_a_key_is_told_before(tmp_path: Path) -> None:
    async with case(tmp_path) as erased:
        await erased.log.index()
        found = await erased.erasing().would_erase(TENANT, USER)
        assert found == UnderKey(streams=3, members=["text"])
        assert await erased.erasing().would_erase(TENANT, "nobody") is None


async def test_keys_that_an_earlier_release_kept_under_a_long_name_are_destroyed_too(tmp_path: Path) -> None:
    """Names of more than a thousand bytes are kept by their digest now."""
    name = "n" * 1_001
    async with case(tmp_path) as erased:
        await erased.log.index()
        for subject in (name, kept_subject(name)):
            erased.keys.put(TENANT, subject, f"key-{subject[:3]}", b"wrapped")
        found = await erased.erasing().would_erase(TENANT, name)
        assert found is not None
        assert found.also == ()
        await erased.erasing().erase(TENANT, name, None)
        assert [erased.keys.of(TENANT, each) for each in (name, kept_subject(name))] == [None, None]
