"""What is wrong with the settings, in words with which the operator can correct it without reading code."""

from collections.abc import Iterable

import msgspec

Path = tuple[str, ...]
"""Where a setting stands, from the root. This is not a dotted text, because keys of `type_aliases` contain
dots."""


class SettingsError(Exception):
    """The settings cannot be used. The text has one line for each fault."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


class SettingFault(msgspec.Struct, frozen=True):
    """One thing to correct in one setting."""

    path: Path
    reason: str = ""
    allowed: str = ""
    about: tuple[Path, ...] = ()
    """Further settings that cause this fault. If one of those has a fault itself, this one is not
    reported."""

    def follows_from(self, broken: Iterable[Path]) -> bool:
        """Return whether a setting that it is about, or the section around it, has a fault already."""
        return any(place[: len(fault)] == fault for fault in broken for place in (self.path, *self.about))

    def line(self, variables: Iterable[str] = (), value: str | None = None) -> str:
        """Return the fault on one line. `value` is the text that may be shown, or None."""
        names = ", ".join(variables)
        line = dotted(self.path) + (f" ({names})" if names else "")
        line += f" is {value}" if value is not None else ""
        line += f": {self.reason}" if self.reason else ""
        return line + (f"; allowed: {self.allowed}" if self.allowed else "")


def dotted(path: Path) -> str:
    """Return a place in the settings as operators write it."""
    return ".".join(path)
