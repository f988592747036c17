"""Copies an event log from one store to another: which stores, and what is said about it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, closing, contextmanager
from os.path import isfile
from pathlib import Path

import click
import msgspec
import psycopg
from anyio.to_thread import run_sync
from psycopg.conninfo import conninfo_to_dict
from pydantic import TypeAdapter, ValidationError

from application.log_copy import CannotCopy, Copied, FollowerPosition, LogReader, LogWriter, copy
from config.faults import Fault
from config.folders import claim
from config.kinds import COSMOS_URL, StoreUrl, masked_url
from config.postgres import require_postgres
from config.privacy import open_keys
from config.sections import Settings
from config.start import CannotStart, first_line
from config.urls import SecretUrl
from domain.errors import StoreUnavailable
from infrastructure.postgres.log_reader import read_postgres_log
from infrastructure.postgres.log_writer import write_postgres_log
from infrastructure.sqlite.log_reader import read_sqlite_log
from infrastructure.sqlite.log_writer import write_sqlite_log

_SQLITE = "sqlite:///"
_ALLOWED = "sqlite:///path or postgresql://user:password@host:port/database"

_url = TypeAdapter[SecretUrl](StoreUrl)


class Side(msgspec.Struct, frozen=True):
    """One of the two stores, under the option that names it."""

    option: str
    url: SecretUrl

    @property
    def address(self) -> str:
        """The URL with its password."""
        return self.url.get_secret_value()

    @property
    def file(self) -> Path | None:
        """The file, where it is SQLite."""
        return Path(self.address.removeprefix(_SQLITE)) if self.address.startswith(_SQLITE) else None


async def copy_log(settings: Settings, source_url: str | None, target_url: str | None) -> None:
    """Copy a log, verify it, and print what both sides hold.

    Raises:
        CannotStart: a URL or a store is of no use, a service runs on one, or the target holds something
            else. Nothing has been changed then.
    """
    source, target = _sides(source_url, target_url)
    try:
        async with AsyncExitStack() as stack:
            await _prepare(settings, source, target, stack)
            reader = await stack.enter_async_context(_reading(source))
            writer = await stack.enter_async_context(_writing(target))
            copied = await copy(reader, writer, _bar)
            keys = await run_sync(_copy_keys, source, target)
    except StoreUnavailable as error:
        raise CannotStart(f"the personal keys cannot be copied, so nothing was kept: {error}") from error
    except CannotCopy as error:
        raise CannotStart(first_line(error)) from error
    _tell(copied, keys, source, target)


def _sides(source_url: str | None, target_url: str | None) -> tuple[Side, Side]:
    source, target = _side("--from", source_url), _side("--to", target_url)
    if _identity(source) == _identity(target):
        raise CannotStart(f"--from and --to name the same store: {source.url}")
    if source.file and not isfile(source.file):
        raise CannotStart(f"--from: there is no {source.file}")
    return source, target


def _side(option: str, url: str | None) -> Side:
    if not url:
        raise CannotStart(Fault((option,), "it is missing", _ALLOWED).line())
    if url == COSMOS_URL:
        raise CannotStart(Fault((option,), "a log in Cosmos DB is not copied yet", _ALLOWED).line())
    try:
        return Side(option, _url.validate_python(url))
    except ValidationError as error:
        (finding,) = error.errors(include_url=False, include_input=False)
        raise CannotStart(
            Fault((option,), str(finding["ctx"]["error"]), _ALLOWED).line(value=masked_url(url))
        ) from None


def _identity(side: Side) -> tuple[str, ...]:
    """What two URLs of one store have in common, as far as it can be told without asking."""
    if side.file:
        return (str(side.file.resolve()),)
    try:
        said = {key: str(value) for key, value in conninfo_to_dict(side.address).items()}
    except psycopg.Error as error:
        raise CannotStart(f"{side.option} is of no use: {first_line(error)}") from error
    return said.get("host", ""), said.get("port", "5432"), said.get("dbname", said.get("user", ""))


async def _prepare(settings: Settings, source: Side, target: Side, stack: AsyncExitStack) -> None:
    """Keep services off the folders of SQLite, and see that PostgreSQL has our tables."""
    claimed: set[Path] = set()
    for side in (source, target):
        if side.file:
            folder = side.file.parent
            if folder.resolve() not in claimed:
                claim(folder, side.option, stack)
                claimed.add(folder.resolve())
            continue
        try:
            await require_postgres(settings, side.address)
        except CannotStart as error:
            raise error if side is target else CannotStart(f"{side.option}: {error}") from error


def _copy_keys(source: Side, target: Side) -> int:
    """Add the keys that the target has not. The events that need them are there only after that."""
    with closing(open_keys(source.address)) as here, closing(open_keys(target.address)) as there:
        if here.untold():
            raise CannotStart(f"{source.option}: an erasure is half-way there; erase again, then copy")
        keys = here.all()
        for id, tenant, subject, wrapped in keys:
            there.put(tenant, subject, id, wrapped)
    return len(keys)


def _reading(side: Side) -> AbstractAsyncContextManager[LogReader]:
    return read_sqlite_log(side.file) if side.file else read_postgres_log(side.address)


def _writing(side: Side) -> AbstractAsyncContextManager[LogWriter]:
    return write_sqlite_log(side.file) if side.file else write_postgres_log(side.address)


@contextmanager
def _bar(doing: str, events: int) -> Iterator[Callable[[int], None]]:
    with click.progressbar(length=events, label=f"{doing:<24}", show_pos=True) as bar:
        yield bar.update


def _tell(copied: Copied, keys: int, source: Side, target: Side) -> None:
    for side, digest in ((source, copied.source), (target, copied.target)):
        click.echo(f"{side.option:<7} {digest}  {side.url}")
    positions = ", ".join(_positions(copied.positions))
    click.echo(
        f"beside it: {copied.timers} timers, {copied.step_calls} calls, positions: {positions or 'none'}"
    )
    if keys:
        click.echo(f"{keys} personal keys: the new store needs the same privacy master key")
    click.echo("verified: the same log was there already" if copied.was_there else "copied and verified")


def _positions(saved: Sequence[FollowerPosition]) -> Iterator[str]:
    """The partition is told where a follower has positions in several."""
    of = Counter(each.follower for each in saved)
    for each in saved:
        name = each.follower if of[each.follower] == 1 else f"{each.follower} {each.partition}"
        yield f"{name} {each.position}"
