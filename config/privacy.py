"""The personal keys and what seals with them, if the master key is the right one."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import msgspec
from anyio.to_thread import run_sync

from application.privacy.ciphers import MasterKey, WrongMasterKey
from application.privacy.keyring import Keyring
from application.privacy.ports import PersonalKeys
from application.privacy.sealing import PersonalNames, Sealing
from config.lost_keys import refuse_or_tell_of_losses
from config.master_key import embedded_key_file_of, master_key_file_of, master_key_of
from config.sections import Settings
from config.start import CannotStart
from infrastructure.cosmos.observing import Observe, unobserved
from infrastructure.sqlite.personal_keys import SqlitePersonalKeys, keys_file

_SQLITE = "sqlite:///"


class CopiedKeys(PersonalKeys, Protocol):
    """Keys that can be copied."""

    def all(self) -> list[tuple[str, str, str, bytes]]:
        """Return every key with its owner: id, tenant, subject, and the wrapped key."""
        ...

    def add(self, keys: Sequence[tuple[str, str, str, bytes]]) -> None:
        """Store keys as :meth:`all` returns them, except for subjects that have one."""
        ...

    def close(self) -> None:
        """Close what was opened."""
        ...


class PersonalParts(msgspec.Struct, frozen=True):
    """The keys, and what seals with them. Without a master key nothing is sealed."""

    keys: PersonalKeys
    sealing: Sealing | None
    master: MasterKey | None = None


async def open_personal(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    as_they_are: bool = False,
    observe_cosmos: Observe = unobserved,
) -> PersonalParts:
    """Open those of the configured store. ``as_they_are``: no master key is created, and lost keys are
    ignored. No master key is created either if there are personal keys, because it would not open them.
    ``observe_cosmos`` is called for each call to Cosmos DB.

    Raises:
        CannotStart: the master key cannot be read, is invalid, or is not that of the keys; or there are no
            keys, and values of the log that need some.
        StoreUnavailable: the keys cannot be reached.
    """
    keys = await _keys_of(settings, stack, observe_cosmos)
    tried = await run_sync(keys.any)
    if not as_they_are:
        await refuse_or_tell_of_losses(settings, keys, has_keys=tried is not None)
    master = master_key_of(settings, makes_one=tried is None and not as_they_are)
    if master is None:
        if tried is not None:
            raise CannotStart(_without_a_master_key(settings))
        return PersonalParts(keys, None)
    if tried is not None:
        try:
            master.unwrap(*tried)
        except WrongMasterKey as error:
            file = master_key_file_of(settings)
            which = "privacy.master_key" if file is None else f"the master key in {file}"
            raise CannotStart(f"{which} is not the one that was used before: {error}") from error
    keyring = Keyring(keys, master, fresh_seconds=settings.privacy.fresh_seconds)
    return PersonalParts(keys, Sealing(keyring, PersonalNames(settings.privacy.personal_fields)), master)


async def keys_as_they_are(settings: Settings, stack: AsyncExitStack) -> PersonalKeys | None:
    """Open only the keys, without unwrapping any. Return None if their file is missing; it is not created.

    Raises:
        CannotStart, StoreUnavailable: they cannot be reached.
    """
    url = settings.storage.effective_event_store_url.get_secret_value()
    if url.startswith(_SQLITE) and not keys_file(Path(url.removeprefix(_SQLITE))).is_file():
        return None
    return await _keys_of(settings, stack)


async def _keys_of(
    settings: Settings, stack: AsyncExitStack, observe_cosmos: Observe = unobserved
) -> PersonalKeys:
    if settings.storage.is_in_cosmos:
        from config.cosmos_stores import open_cosmos_keys

        return await open_cosmos_keys(settings, stack, observe_cosmos)
    return await _keys_beside(settings, settings.storage.effective_event_store_url.get_secret_value(), stack)


def _without_a_master_key(settings: Settings) -> str:
    unset = "neither privacy.master_key nor privacy.master_key_file is set"
    file = embedded_key_file_of(settings)
    if file is None:
        return f"there are personal keys, but {unset}"
    return (
        f"{file} is missing, but there are personal keys that no other master key opens: restore it from"
        f" a backup ({unset}); no new one is made in its place"
    )


async def _keys_beside(settings: Settings, url: str, stack: AsyncExitStack) -> PersonalKeys:
    if settings.storage.is_shared:
        from config.postgres import require_postgres

        await require_postgres(settings, url)
    keys = await run_sync(open_keys, url)
    stack.callback(keys.close)
    return keys


def open_keys(url: str) -> CopiedKeys:
    """Open the keys beside a log.

    Raises:
        StoreUnavailable: they cannot be reached.
    """
    if url.startswith(_SQLITE):
        return SqlitePersonalKeys(keys_file(Path(url.removeprefix(_SQLITE))))
    from infrastructure.postgres.personal_keys import PostgresPersonalKeys

    return PostgresPersonalKeys(url)
