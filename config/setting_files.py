"""Checks the keys and files that settings name, before anything is begun with them."""

from collections.abc import Callable, Iterator

from config.approvals import approvals_file
from config.audit import signer_of
from config.faults import SettingFault
from config.master_key import read_other_key, read_present_key, require_first_key
from config.sections import Settings
from config.wrong_settings import WrongSettings


def faults_of_files(settings: Settings) -> Iterator[SettingFault]:
    """Yield every fault of what a start would read. What an embedded store keeps itself is not checked."""
    for read in _READ:
        try:
            read(settings)
        except WrongSettings as wrong:
            yield from wrong.faults


_READ: tuple[Callable[[Settings], object], ...] = (
    signer_of,
    read_present_key,
    read_other_key,
    require_first_key,
    approvals_file,
)
