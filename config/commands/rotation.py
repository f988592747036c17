"""The command that replaces the master key over all personal keys, and prints the outcome.

The key of an embedded store is replaced too. The former one stays beside it, in a file that every start also
reads, until no personal key needs it any more. So a command that was killed can be run again.
"""

import os
from contextlib import AsyncExitStack
from pathlib import Path

import click

from application.privacy.ciphers import WrongMasterKey
from application.privacy.rotating import Rotated, rotate
from application.synced_folder import sync_folder
from config.erasures import MARGIN_SECONDS
from config.folders import claim
from config.master_key import embedded_key_file_of, former_key_file_of, read_key, written_beside
from config.privacy import PersonalParts, open_personal
from config.sections import Settings
from config.start import CannotStart, first_line
from config.stores import require_log
from domain.errors import StoreUnavailable


async def rotate_master_key(settings: Settings) -> None:
    """Wrap every personal key with the master key.

    Raises:
        CannotStart: a store cannot be used, there is no other key, or a personal key opens with neither; or a
            process still wraps keys with the former one. If an embedded store's own key is missing or
            another, this is raised before anything is changed.
    """
    async with AsyncExitStack() as stack:
        try:
            await require_log(settings)
            file = embedded_key_file_of(settings)
            if file is not None:
                _claim_all(settings, stack)
                await open_personal(settings, stack, as_they_are=True)
                _change(file)
            elif not _names_another(settings):
                raise CannotStart(
                    "privacy.master_key is to be the new key, and privacy.other_master_key (or"
                    " other_master_key_file) the former one: see docs/erasure.md"
                )
            personal = await open_personal(settings, stack, as_they_are=True)
            watch_seconds = 0.0 if file else settings.privacy.fresh_seconds + MARGIN_SECONDS
            rotated = await _rotated(personal, watch_seconds)
        except StoreUnavailable as error:
            raise CannotStart(f"stopped before the end, rotate again: {first_line(error)}") from error
        click.echo(
            f"{rotated.rewrapped} of {rotated.keys} personal keys were wrapped with another master key"
        )
        if rotated.late:
            raise CannotStart(_still_in_use(rotated))
        if file is not None:
            former_key_file_of(file).unlink()
            sync_folder(file.parent)
    if file is not None:
        click.echo(f"all {rotated.keys} are wrapped with the present one: the former one is no longer needed")
    else:
        click.echo(_cannot_tell(rotated, personal, watch_seconds))


def _still_in_use(rotated: Rotated) -> str:
    were = "1 key was" if rotated.late == 1 else f"{rotated.late} keys were"
    return (
        f"{were} wrapped with the former master key since this run began: a process still has it as its"
        " present one. Keep the former key, and run it again once every process has the new key as its"
        " present one: see docs/erasure.md"
    )


def _cannot_tell(rotated: Rotated, personal: PersonalParts, watch_seconds: float) -> str:
    """Only whoever starts the processes knows which keys they have: a key is wrapped only when somebody new
    appears."""
    present = "" if personal.master is None else f" ({personal.master.fingerprint})"
    return (
        f"all {rotated.keys} are wrapped with the present one{present}, and within {watch_seconds:g} s no"
        " other was made. The former one is no longer needed if every process had the new key as its present"
        " one before this run began (privacy_master_key_info on /metrics); else run it again once they have"
    )


def _claim_all(settings: Settings, stack: AsyncExitStack) -> None:
    """Nobody may work with the former key alone."""
    folder = settings.storage.data_dir
    claim(folder, "storage.data_dir", stack)
    url = settings.storage.effective_event_store_url.get_secret_value()
    beside = Path(url.removeprefix("sqlite:///")).parent
    if beside.resolve() != folder.resolve():
        claim(beside, "storage.event_store_url", stack)


async def _rotated(personal: PersonalParts, watch_seconds: float) -> Rotated:
    if personal.master is None:
        raise CannotStart("there is no master key: nothing is sealed")
    try:
        return await rotate(personal.keys, personal.master, watch_seconds=watch_seconds)
    except WrongMasterKey as error:
        raise CannotStart(f"stopped: {error} than the two that are set") from error


def _names_another(settings: Settings) -> bool:
    privacy = settings.privacy
    return bool(privacy.other_master_key.get_secret_value()) or privacy.other_master_key_file is not None


def _change(file: Path) -> None:
    """Create a new key, unless an interrupted rotation has. The former one stays beside it."""
    former = former_key_file_of(file)
    try:
        if not file.exists():
            raise CannotStart(f"there is no {file}: nothing is sealed")
        if not former.exists():
            os.link(file, former)
            sync_folder(file.parent)
        if read_key(former) == read_key(file):
            written_beside(file).replace(file)
            sync_folder(file.parent)
    except OSError as error:
        raise CannotStart(f"{file}: the master key cannot be changed: {error}") from error
