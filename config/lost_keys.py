"""How a start looks for lost personal keys, and reports them."""

from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from anyio.to_thread import run_sync

from application.privacy.losses import KeyName, lost_of, sampled_keys
from application.privacy.ports import PersonalKeys
from config.audit_stores import open_audit_for_reading
from config.sections import Settings
from config.start import CannotStart
from infrastructure.sqlite.personal_keys import keys_file

log = structlog.get_logger(__name__)

_NAMED = 5


async def refuse_or_tell_of_losses(settings: Settings, keys: PersonalKeys, *, has_keys: bool) -> None:
    """Check whether the keys exist that the log's sealed values name, as far as a start can look.

    If some are lost, the log says so, and the service continues. If there are none at all, none is created,
    because the rows of a backup could not be put back beside new ones.

    Raises:
        CannotStart: there are none at all, and the log has values that were not erased.
        StoreUnavailable: the log or the keys cannot be reached.
    """
    lost = await _lost(settings, keys)
    if not lost:
        return
    if not has_keys:
        raise CannotStart(
            f"the log has values that are sealed under personal keys ({_named(lost)}), and {_where(settings)}"
            " has no key: put the keys back that were kept with the log, and the master key; no new ones are"
            f" made in their place. {_GIVE_UP}"
        )
    log.error(
        "personal_keys_lost",
        keys=len(lost),
        key_ids=[each.id for each in lost[:_NAMED]],
        tenants=sorted({each.tenant for each in lost})[:_NAMED],
        why="values are sealed under them, they are not there, and no erasure of them is told: the keys are"
        " of an older backup than the log. What they sealed reads as erased. audit verify names all."
        f" {_GIVE_UP}",
    )


_GIVE_UP = "If they are gone for good: workflow-orchestrator erase --lost (docs/runbooks/backup.md)"


async def _lost(settings: Settings, keys: PersonalKeys) -> list[KeyName]:
    if not await _is_there(settings):
        return []
    async with AsyncExitStack() as stack:
        sources = await open_audit_for_reading(settings, stack)
        return await lost_of(await sampled_keys(sources.log, sources.index), keys, sources.log)


async def _is_there(settings: Settings) -> bool:
    """Return whether there is a log already. One in PostgreSQL has its tables before any start."""
    if settings.storage.is_in_cosmos:
        from config.cosmos import cosmos_log_exists

        return await cosmos_log_exists(settings)
    return settings.storage.is_shared or await run_sync(_path(settings).is_file)


def _where(settings: Settings) -> str:
    if settings.storage.is_in_cosmos:
        return "the container workflow_keys"
    if settings.storage.is_shared:
        return "the table personal_keys"
    return str(keys_file(_path(settings)))


def _path(settings: Settings) -> Path:
    return Path(settings.storage.effective_event_store_url.get_secret_value().removeprefix("sqlite:///"))


def _named(lost: list[KeyName]) -> str:
    more = f" and {len(lost) - _NAMED} more" if lost[_NAMED:] else ""
    return ", ".join(each.id for each in lost[:_NAMED]) + more
