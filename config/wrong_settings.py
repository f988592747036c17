"""What is wrong with a setting is found by whatever uses it: an invalid key, a file that cannot be read."""

from collections.abc import Iterator, Sequence

from pydantic import SecretStr

from config.faults import Path, SettingFault
from config.origins import variables_of
from config.sections import Settings
from config.start import CannotStart
from config.validation import shown


class WrongSettings(CannotStart):
    """One line for each fault, in the form of other wrong settings: with the variables' names, and no
    secret's value."""

    def __init__(self, settings: Settings, faults: Sequence[SettingFault]) -> None:
        self.faults = faults
        super().__init__("\n".join(_lines(settings, faults)))


def both_set(path: Path, file: Path) -> SettingFault:
    """Return the fault that a key is given both as a text and as a file, and it is not known which is
    meant."""
    return SettingFault(file, f"{'.'.join(path)} is set too: leave one empty", about=(path,))


def _lines(settings: Settings, faults: Sequence[SettingFault]) -> Iterator[str]:
    for fault in faults:
        value: object = settings
        for name in fault.path:
            value = getattr(value, name)
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        yield fault.line(variables_of(fault.path, settings.origins), shown(fault.path, text))
