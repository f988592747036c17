"""What may have been meant."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

_COMPARED = 128
"""Of a text that may be long, so many characters."""


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """The end of a message: the known word nearest to one that is not, or nothing. What is twice as long as
    all of them is near none, and to find that out would take long."""
    words = {word.lower(): word for word in known}
    if len(text) > 2 * max(map(len, words), default=0):
        return ""
    near = get_close_matches(text.lower(), words, n=1, cutoff=0.7)
    return f"; did you mean {words[near[0]]}?" if near else ""


def nearest(text: str, known: Iterable[str], most: int) -> list[str]:
    """The known words that are nearest to one that is not, up to so many, the nearest first."""
    matcher = SequenceMatcher(b=text[:_COMPARED].lower())

    def likeness(word: str) -> float:
        matcher.set_seq1(word.lower())
        return matcher.ratio()

    return sorted(known, key=likeness, reverse=True)[:most]
