"""Invisible characters are shown by their number, because they can change how a text appears.

They may reverse the reading order, or make a name look like another one. So every page shows such a character
as ``⟦U+202E⟧``, also in a form's fields. When a form or an address is read, the marks become the characters
again.
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
"""Control characters except tab and line ends, directional characters, and the characters that a font may
leave out (Default_Ignorable), except the variation selectors below U+FFFF, which choose between two forms of
a visible character."""

_PICTURES = "\u2190-\u2bff\U0001f000-\U0001faff"
_JOINER = f"\u200d(?![{_PICTURES}])|(?<![{_PICTURES}\ufe0f])\u200d"
"""A zero-width joiner that does not join two pictures to one."""

_RANGES = "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in _MARKED)
_HIDDEN = re.compile(f"[{_RANGES}]|{_JOINER}")
_MARK = re.compile("⟦U\\+([0-9A-F]{4,5})⟧")


def shown(value: object) -> object:
    """Return a value for a page; in a text, invisible characters are marked. Markup is returned unchanged,
    because its parts were marked already."""
    if not isinstance(value, str) or isinstance(value, Markup) or (value.isascii() and value.isprintable()):
        return value
    return _HIDDEN.sub(lambda match: f"⟦U+{ord(match[0]):04X}⟧", value)


def typed(text: str) -> str:
    """Return a text with its marks replaced by the characters."""
    return _MARK.sub(_unmarked, text) if "⟦" in text else text


def _unmarked(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if _HIDDEN.fullmatch(character) else match[0]
