"""The key over the personal keys, and what seals with them: where it is from, whether it is the right one."""

import base64
import binascii
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import msgspec
from anyio.to_thread import run_sync

from application.privacy.ciphers import KEY_BYTES, MasterKey, WrongMasterKey, new_key
from application.privacy.keyring import Keyring
from application.privacy.ports import PersonalKeys
from application.privacy.sealing import PersonalNames, Sealing
from config.sections import Settings
from config.start import CannotStart
from infrastructure.sqlite.personal_keys import SqlitePersonalKeys, keys_file

MASTER_KEY_FILE = "privacy-master.key"


class CopiedKeys(PersonalKeys, Protocol):
    """Keys that can be copied."""

    def all(self) -> list[tuple[str, str, str, bytes]]:
        """Every key with its owner: id, tenant, subject, and itself, wrapped."""
        ...

    def close(self) -> None:
        """Give back what was opened."""
        ...


class PersonalParts(msgspec.Struct, frozen=True):
    """The keys, and what seals with them; nothing does without a master key."""

    keys: PersonalKeys
    sealing: Sealing | None


async def open_personal(
    settings: Settings, stack: AsyncExitStack, *, as_they_are: bool = False
) -> PersonalParts:
    """Those of the configured store; ``as_they_are``: no master key is made.

    Raises:
        CannotStart: the master key cannot be read, is none, or is another than that of the keys.
        StoreUnavailable: the keys cannot be reached.
    """
    url = settings.storage.effective_event_store_url.get_secret_value()
    keys: PersonalKeys
    if settings.storage.is_in_cosmos:
        from config.cosmos_stores import open_cosmos_keys

        keys = await open_cosmos_keys(settings, stack)
    else:
        keys = await _keys_beside(settings, url, stack)
    given = master_key_of(settings, makes_one=not as_they_are)
    tried = await run_sync(keys.any)
    if given is None:
        if tried is not None:
            raise CannotStart(
                "there are personal keys, and neither privacy.master_key nor privacy.master_key_file is set"
            )
        return PersonalParts(keys, None)
    master = MasterKey(given)
    if tried is not None:
        try:
            master.unwrap(*tried)
        except WrongMasterKey as error:
            raise CannotStart(f"privacy.master_key is not the one that was used before: {error}") from error
    keyring = Keyring(keys, master, fresh_seconds=settings.privacy.fresh_seconds)
    return PersonalParts(keys, Sealing(keyring, PersonalNames(settings.privacy.personal_fields)))


async def _keys_beside(settings: Settings, url: str, stack: AsyncExitStack) -> PersonalKeys:
    if settings.storage.is_shared:
        from config.postgres import require_postgres

        await require_postgres(settings, url)
    keys = await run_sync(open_keys, url)
    stack.callback(keys.close)
    return keys


def open_keys(url: str) -> CopiedKeys:
    """The keys beside a log.

    Raises:
        StoreUnavailable: they cannot be reached.
    """
    if url.startswith("sqlite:///"):
        return SqlitePersonalKeys(keys_file(Path(url.removeprefix("sqlite:///"))))
    from infrastructure.postgres.personal_keys import PostgresPersonalKeys

    return PostgresPersonalKeys(url)


def master_key_file_of(settings: Settings) -> Path | None:
    """Where it is kept: in the file that is named, or in that of an embedded store."""
    if settings.privacy.master_key.get_secret_value():
        return None
    if settings.privacy.master_key_file is not None:
        return settings.privacy.master_key_file
    return None if settings.storage.is_shared else settings.storage.data_dir / MASTER_KEY_FILE


def master_key_of(settings: Settings, *, makes_one: bool) -> bytes | None:
    """The master key, if there is one; that of an embedded store is made for its owner alone.

    Raises:
        CannotStart: there are two, or it cannot be read, or is none.
    """
    text, file = settings.privacy.master_key.get_secret_value(), master_key_file_of(settings)
    if text:
        if settings.privacy.master_key_file is not None:
            raise CannotStart("privacy.master_key and privacy.master_key_file are both set: leave one empty")
        return _decoded(text, "privacy.master_key")
    if file is None:
        return None
    try:
        if settings.privacy.master_key_file is None and not file.exists():
            if not makes_one:
                return None
            _make(file)
        return _decoded(file.read_text("ascii"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"{file}: the master key of personal fields cannot be read: {error}") from error


def _make(file: Path) -> None:
    """Written beside and linked, so that nobody finds it half-written, nor makes another."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(handle, "wb") as opened:
        opened.write(base64.b64encode(new_key()) + b"\n")
        opened.flush()
        os.fsync(opened.fileno())
    try:
        os.link(beside, file)
    except FileExistsError:
        pass
    finally:
        beside.unlink()


def _decoded(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise CannotStart(
            f"{where}: allowed are {KEY_BYTES} bytes in base64: openssl rand -base64 {KEY_BYTES}"
        )
    return key
