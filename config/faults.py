"""What is wrong with the settings, told so that the operator can put it right without reading code."""

from collections.abc import Iterable

import msgspec

Path = tuple[str, ...]
"""Where a setting stands, from the root. Not a dotted string: keys of `type_aliases` have dots themselves."""


class SettingsError(Exception):
    """The settings cannot be used. One line for each fault, all of them at once."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


class SettingFault(msgspec.Struct, frozen=True):
    """One thing to put right at one setting."""

    path: Path
    reason: str = ""
    allowed: str = ""
    about: tuple[Path, ...] = ()
    """Further settings that this follows from: with one of those at fault, this one says nothing new."""

    def follows_from(self, broken: Iterable[Path]) -> bool:
        """Whether a setting it is about, or the section around it, is at fault already."""
        return any(place[: len(fault)] == fault for fault in broken for place in (self.path, *self.about))

    def line(self, variables: Iterable[str] = (), value: str | None = None) -> str:
        """The fault on one line; `value` as it may be shown, None for not at all."""
        names = ", ".join(variables)
        line = dotted(self.path) + (f" ({names})" if names else "")
        line += f" is {value}" if value is not None else ""
        line += f": {self.reason}" if self.reason else ""
        return line + (f"; allowed: {self.allowed}" if self.allowed else "")


def dotted(path: Path) -> str:
    """A place in the settings as operators write it."""
    return ".".join(path)
