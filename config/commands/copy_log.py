"""The command that copies an event log from one store to another: which stores it uses, and what it
prints."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from os.path import isfile
from pathlib import Path

import msgspec
import psycopg
from anyio.to_thread import run_sync
from psycopg.conninfo import conninfo_to_dict
from pydantic import TypeAdapter, ValidationError

from application.log_copy import CannotCopy, LogReader, LogWriter, copy, what_is_kept
from application.log_orders import InOneOrder, InTenantsOrders, TenantDigests
from application.outbox import Outbox
from config.commands.copy_report import bar, tell
from config.faults import SettingFault
from config.folders import claim
from config.kinds import COSMOS_URL, StoreUrl, masked_url
from config.postgres import require_postgres, why_not_understood
from config.privacy import CopiedKeys, open_keys
from config.sections import Settings
from config.start import CannotStart, first_line
from config.urls import SecretUrl
from domain.errors import StoreUnavailable
from infrastructure.cosmos.patience import patient
from infrastructure.postgres.log_reader import read_postgres_log
from infrastructure.postgres.log_writer import write_postgres_log
from infrastructure.sqlite.log_reader import read_sqlite_log
from infrastructure.sqlite.log_writer import write_sqlite_log

_SQLITE = "sqlite:///"
_ALLOWED = "sqlite:///path, postgresql://user:password@host:port/database or cosmos://"
_ANOTHER_ORDER = "the order of events is another one: where documents were kept, run rebuild once"

_url = TypeAdapter[SecretUrl](StoreUrl)


class Side(msgspec.Struct, frozen=True):
    """One of the two stores, with the option that names it."""

    option: str
    url: SecretUrl

    @property
    def address(self) -> str:
        """The URL with its password."""
        return self.url.get_secret_value()

    @property
    def is_in_cosmos(self) -> bool:
        """Whether it is in the account of the documents, where each tenant has an order of its own."""
        return self.address == COSMOS_URL

    @property
    def file(self) -> Path | None:
        """The file, if it is SQLite."""
        return Path(self.address.removeprefix(_SQLITE)) if self.address.startswith(_SQLITE) else None


async def copy_log(settings: Settings, source_url: str | None, target_url: str | None) -> None:
    """Copy a log, verify it, and print what both sides hold.

    Raises:
        CannotStart: a URL or a store cannot be used, a service runs on one, or the target holds something
            else. Nothing has been changed then.
    """
    source, target = _sides(settings, source_url, target_url)
    writer: LogWriter | None = None
    try:
        async with AsyncExitStack() as stack:
            await _prepare(settings, source, target, stack)
            reader = await _reading(settings, source, target, stack)
            here = await _keys(settings, source, stack)
            erasures = await run_sync(_erasures_until_now, here, source)
            writer = await stack.enter_async_context(_writing(settings, target))
            by_tenant = source.is_in_cosmos or target.is_in_cosmos
            copied = await copy(reader, writer, bar, TenantDigests if by_tenant else None)
            there = await _keys(settings, target, stack)
            keys = await _copied_keys(here, there, target, is_new=not copied.was_there)
            if await run_sync(here.erasures) != erasures:
                raise CannotCopy(f"{source.option}: a person was erased meanwhile; copy to an empty store")
    except StoreUnavailable as error:
        why = f"a store is unavailable, so {what_is_kept(writer)}: {first_line(error)}"
        raise _given_up(why, writer) from error
    except CannotCopy as error:
        raise _given_up(first_line(error), writer) from error
    notes = [_ANOTHER_ORDER] if source.is_in_cosmos else []
    tell(copied, keys, (source.option, source.url), (target.option, target.url), notes)


def _given_up(why: str, writer: LogWriter | None) -> CannotStart:
    """Return the error with what to do now, because what was not written in one transaction may stay."""
    if writer is not None and writer.leaves_a_half:
        return CannotStart(f"{why}. No service starts on an incomplete copy: run copy-log again to continue")
    return CannotStart(why)


def _sides(settings: Settings, source_url: str | None, target_url: str | None) -> tuple[Side, Side]:
    source, target = _side("--from", source_url), _side("--to", target_url)
    for side in (source, target):
        if side.is_in_cosmos and not settings.cosmos_db.endpoint:
            raise CannotStart(f"{side.option}: cosmos:// needs COSMOS_DB_ENDPOINT and COSMOS_DB_KEY")
    if _identity(source) == _identity(target):
        raise CannotStart(f"--from and --to name the same store: {source.url}")
    if source.file and not isfile(source.file):
        raise CannotStart(f"--from: there is no {source.file}")
    return source, target


def _side(option: str, url: str | None) -> Side:
    if not url:
        raise CannotStart(SettingFault((option,), "it is missing", _ALLOWED).line())
    try:
        return Side(option, _url.validate_python(url))
    except ValidationError as error:
        (finding,) = error.errors(include_url=False, include_input=False)
        raise CannotStart(
            SettingFault((option,), str(finding["ctx"]["error"]), _ALLOWED).line(value=masked_url(url))
        ) from None


def _identity(side: Side) -> tuple[str, ...]:
    """Return what two URLs of one store have in common, as far as that is known without asking."""
    if side.file:
        return (str(side.file.resolve()),)
    if side.is_in_cosmos:
        return (side.address,)
    try:
        said = {key: str(value) for key, value in conninfo_to_dict(side.address).items()}
    except psycopg.Error:
        raise CannotStart(f"{side.option} cannot be used: {why_not_understood(side.address)}") from None
    return said.get("host", ""), said.get("port", "5432"), said.get("dbname", said.get("user", ""))


async def _prepare(settings: Settings, source: Side, target: Side, stack: AsyncExitStack) -> None:
    """Keep services off the folders of SQLite, and check that PostgreSQL has our tables."""
    claimed: set[Path] = set()
    for side in (source, target):
        if side.file:
            folder = side.file.parent
            if folder.resolve() not in claimed:
                claim(folder, side.option, stack)
                claimed.add(folder.resolve())
            continue
        if side.is_in_cosmos:
            continue
        try:
            await require_postgres(settings, side.address)
        except CannotStart as error:
            raise error if side is target else CannotStart(f"{side.option}: {error}") from error


def _erasures_until_now(here: CopiedKeys, source: Side) -> int:
    """Return how many erasures there were. The copied key would undo an erasure that happens meanwhile."""
    if here.untold():
        raise CannotCopy(f"{source.option}: an erasure is not complete; erase again, then copy")
    return here.erasures()


async def _copied_keys(here: CopiedKeys, there: CopiedKeys, target: Side, *, is_new: bool) -> int:
    """Return how many keys there are. If an account throttles, the command waits, as with events."""
    copied = partial(run_sync, partial(_copy_keys, here, there, is_new=is_new))
    return await (patient(copied) if target.is_in_cosmos else copied())


def _copy_keys(here: CopiedKeys, there: CopiedKeys, *, is_new: bool) -> int:
    """Add the keys that the target lacks. The events that need them count only after that."""
    keys = here.all()
    known = _ids_by_owner(there)
    there.add([key for key in keys if key[1:3] not in known])
    known = _ids_by_owner(there)
    if any(known.get((tenant, subject)) != id for id, tenant, subject, _ in keys):
        raise CannotCopy("the target has a different personal key for the same person: use an empty one")
    if is_new and len(known) > len(keys):
        raise CannotCopy("the target has personal keys that the source does not have: use an empty one")
    return len(keys)


def _ids_by_owner(keys: CopiedKeys) -> Mapping[tuple[str, str], str]:
    return {(tenant, subject): id for id, tenant, subject, _ in keys.all()}


async def _keys(settings: Settings, side: Side, stack: AsyncExitStack) -> CopiedKeys:
    if side.is_in_cosmos:
        from config.cosmos_stores import open_cosmos_keys

        return await open_cosmos_keys(settings, stack)
    keys = await run_sync(open_keys, side.address)
    stack.callback(keys.close)
    return keys


async def _reading(settings: Settings, source: Side, target: Side, stack: AsyncExitStack) -> LogReader:
    """Return the source, in the kind of order that the target has."""
    if source.is_in_cosmos:
        from config.commands.cosmos_copies import read_cosmos_log

        log = await stack.enter_async_context(read_cosmos_log(settings))
        return InOneOrder(log, first=Outbox.name)
    if source.file:
        reader: LogReader = await stack.enter_async_context(read_sqlite_log(source.file))
    else:
        reader = await stack.enter_async_context(read_postgres_log(source.address))
    return InTenantsOrders(reader) if target.is_in_cosmos else reader


def _writing(settings: Settings, side: Side) -> AbstractAsyncContextManager[LogWriter]:
    if side.is_in_cosmos:
        from config.commands.cosmos_copies import write_cosmos_log

        return write_cosmos_log(settings)
    return write_sqlite_log(side.file) if side.file else write_postgres_log(side.address)
