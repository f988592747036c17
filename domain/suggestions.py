"""Suggests what may have been meant."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

_COMPARED = 128
"""How many characters of a text, which may be long, are compared."""

_MOST_WORK = 300_000
"""The most pairs of characters to compare: some 6 ms with ordinary words, 0.1 s at worst."""


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """Return the end of a message: the known word nearest to an unknown one, or nothing. A text that is twice
    as long as all known words is near none, and comparing it would take long."""
    words = {word.lower(): word for word in known}
    if len(text) > 2 * max(map(len, words), default=0):
        return ""
    near = get_close_matches(text.lower(), words, n=1, cutoff=0.7)
    return f"; did you mean {words[near[0]]}?" if near else ""


class Suggestions:
    """Does the same for any number of texts. Once that has been much work, it suggests nothing for the
    rest."""

    def __init__(self) -> None:
        self._work_left = _MOST_WORK

    def did_you_mean(self, text: str, known: Iterable[str]) -> str:
        """Return the end of a message, like the function."""
        words = list(known)
        if self._work_left <= 0:
            return ""
        self._work_left -= len(text) * sum(map(len, words))
        return did_you_mean(text, words)


def nearest(text: str, known: Iterable[str], most: int) -> list[str]:
    """Return the known words that are nearest to an unknown one, up to a number, the nearest first."""
    matcher = SequenceMatcher(b=text[:_COMPARED].lower())

    def likeness(word: str) -> float:
        matcher.set_seq1(word.lower())
        return matcher.ratio()

    return sorted(known, key=likeness, reverse=True)[:most]
