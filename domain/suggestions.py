"""What may have been meant."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

_COMPARED = 128
"""Of a text that may be long, so many characters."""

_MOST_WORK = 300_000
"""Pairs of characters: some 6 ms with words as people choose them, 0.1 s at worst."""


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """The end of a message: the known word nearest to one that is not, or nothing. What is twice as long as
    all of them is near none, and to find that out would take long."""
    words = {word.lower(): word for word in known}
    if len(text) > 2 * max(map(len, words), default=0):
        return ""
    near = get_close_matches(text.lower(), words, n=1, cutoff=0.7)
    return f"; did you mean {words[near[0]]}?" if near else ""


class Suggestions:
    """The same for as many texts as may come. Once that has been much work, nothing is meant by the rest."""

    def __init__(self) -> None:
        self._work_left = _MOST_WORK

    def did_you_mean(self, text: str, known: Iterable[str]) -> str:
        """The end of a message, as of the function."""
        words = list(known)
        if self._work_left <= 0:
            return ""
        self._work_left -= len(text) * sum(map(len, words))
        return did_you_mean(text, words)


def nearest(text: str, known: Iterable[str], most: int) -> list[str]:
    """The known words that are nearest to one that is not, up to so many, the nearest first."""
    matcher = SequenceMatcher(b=text[:_COMPARED].lower())

    def likeness(word: str) -> float:
        matcher.set_seq1(word.lower())
        return matcher.ratio()

    return sorted(known, key=likeness, reverse=True)[:most]
