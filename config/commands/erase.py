"""The command that destroys personal keys, whether or not the service runs, and prints the outcome."""

from contextlib import AsyncExitStack

import anyio
import click

from application.privacy.erasing import ErasedKey, Erasing, UnderKey
from config.audit_stores import open_audit_for_reading
from config.commands.erased_documents import ErasedDocuments
from config.erasures import MARGIN_SECONDS
from config.privacy import open_personal
from config.sections import Settings
from config.start import CannotStart, first_line
from config.stores import open_log_beside, require_log
from domain.errors import StoreUnavailable
from infrastructure.clock import SystemClock

_NOTHING = "nothing to erase: no values are sealed under a key of this subject"
_NOTHING_AGAIN = "nothing to erase again: of the keys that were destroyed none has come back"
_NOTHING_LOST = "nothing is lost: every sealed value has its key, or was erased"


async def erase(
    settings: Settings,
    tenant: str | None,
    subject: str | None,
    reason: str | None,
    *,
    dry_run: bool,
    again: bool,
    lost: bool = False,
) -> None:
    """Erase a subject, repeat all erasures (``again``), or record ``lost`` keys as destroyed. Interrupted
    erasures are completed too.

    Raises:
        CannotStart: a store cannot be used; or nobody was named, or somebody with ``again`` or ``lost``,
            which are about everybody.
    """
    _check_options(tenant, subject, dry_run=dry_run, again=again, lost=lost)

    async def wait() -> None:
        await anyio.sleep(settings.privacy.fresh_seconds + MARGIN_SECONDS)

    async with AsyncExitStack() as stack:
        try:
            await require_log(settings)
            personal = await open_personal(settings, stack, as_they_are=True)
            sources = await open_audit_for_reading(settings, stack)
            store = await open_log_beside(settings, stack, personal)
            documents = ErasedDocuments(settings, store, stack)
            erasing = Erasing(
                store,
                sources.log,
                sources.index,
                personal.keys,
                SystemClock(),
                wait=wait,
                remake=documents.remake,
            )
            if again:
                told = await erasing.erase_again()
            elif lost and dry_run:
                found_lost = await erasing.lost()
                for key in found_lost:
                    click.echo(f"lost: tenant {key.tenant}, key {key.id}")
                if not found_lost:
                    click.echo(_NOTHING_LOST)
                return
            elif lost:
                told = await erasing.give_up(reason)
            elif dry_run:
                found = await erasing.would_erase(str(tenant), str(subject))
                for line in _would(found):
                    click.echo(line)
                return
            else:
                told = await erasing.erase(str(tenant), str(subject), reason)
        except StoreUnavailable as error:
            raise CannotStart(f"stopped before the end, erase again: {first_line(error)}") from error
    for each in told:
        click.echo(_said(each))
    for line in documents.said:
        click.echo(line)
    if not told:
        click.echo(_NOTHING_AGAIN if again else _NOTHING_LOST if lost else _NOTHING)


def _check_options(
    tenant: str | None, subject: str | None, *, dry_run: bool, again: bool, lost: bool
) -> None:
    """Refuse options that would be ignored. What is destroyed does not come back."""
    if not again and not lost:
        if not (tenant and subject):
            raise CannotStart(
                "name whom to erase with --tenant and --subject; or use --again (repeat every erasure) or"
                " --lost"
            )
        return
    given = {
        "--lost": again and lost,
        "--dry-run": again and dry_run,
        "--tenant": tenant is not None,
        "--subject": subject is not None,
    }
    if ignored := [name for name, is_given in given.items() if is_given]:
        option = "--again" if again else "--lost"
        raise CannotStart(f"{option} is about everybody's keys: it does not go with {', '.join(ignored)}")


def _would(found: UnderKey | None) -> list[str]:
    if found is None:
        return [_NOTHING]
    told = [f"would destroy a key under which values of {_streams(found.streams)} are sealed"]
    if found.members:
        told.append(f"the values are: {', '.join(found.members)}")
    return [*told, *(f"also the values in {stream} that belong to nobody else" for stream in found.also)]


def _said(told: ErasedKey) -> str:
    return f"erased: tenant {told.tenant}, key {told.key_id}, sealed values of {_streams(told.streams)}"


def _streams(number: int) -> str:
    return f"{number} stream{'' if number == 1 else 's'}"
