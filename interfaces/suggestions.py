"""What may have been meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """The end of a message: the known word nearest to one that is not, or nothing. What is twice as long as
    all of them is near none, and to find that out would take long."""
    words = {word.lower(): word for word in known}
    if len(text) > 2 * max(map(len, words), default=0):
        return ""
    near = get_close_matches(text.lower(), words, n=1, cutoff=0.7)
    return f"; did you mean {words[near[0]]}?" if near else ""
