"""Characters that nobody sees, and that change what is seen: each is shown by its number instead.

A text that somebody has written may turn the reading order around, or have a name look like another one. So
every page shows ``⟦U+202E⟧`` where such a character stands, also in a form's fields; what comes back in a
form or an address is read as it was.
"""

import re

from markupsafe import Markup

_MARKED = (
    (0x00, 0x08),
    (0x0B, 0x0C),
    (0x0E, 0x1F),
    (0x7F, 0x9F),
    (0xAD, 0xAD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200C),
    (0x200E, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
"""Controls but tab and line end, directions, and what Unicode lets a font leave out (Default_Ignorable); not
the variation selectors below U+FFFF, which choose between two forms of a visible character."""

_PICTURES = "\u2190-\u2bff\U0001f000-\U0001faff"
_JOINER = f"\u200d(?![{_PICTURES}])|(?<![{_PICTURES}\ufe0f])\u200d"
"""A joiner is left where it joins two pictures to one."""

_RANGES = "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in _MARKED)
_HIDDEN = re.compile(f"[{_RANGES}]|{_JOINER}")
_MARK = re.compile("⟦U\\+([0-9A-F]{4,5})⟧")


def shown(value: object) -> object:
    """A value of a page; a text with each hidden character marked. Markup was made of such values."""
    if not isinstance(value, str) or isinstance(value, Markup) or (value.isascii() and value.isprintable()):
        return value
    return _HIDDEN.sub(lambda match: f"⟦U+{ord(match[0]):04X}⟧", value)


def typed(text: str) -> str:
    """What stands behind the marks of a text that a page has shown."""
    return _MARK.sub(_unmarked, text) if "⟦" in text else text


def _unmarked(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if _HIDDEN.fullmatch(character) else match[0]
