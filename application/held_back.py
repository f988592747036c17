"""Checks whose result may change over time. They count only when something is decided for the first time.

A command may come again at any time after it was handled, and its stream then answers it. What the settings,
the definitions or a schema say by then must not matter. So such a check is evaluated within ``decide``, which
is not called for a command whose id the stream holds.
"""

from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from domain.errors import Refusal

T = TypeVar("T")


async def held_back(judging: Awaitable[T]) -> Callable[[], T]:
    """Return a function for ``decide`` that returns the result of a check outside the stream, or raises its
    refusal.

    Raises:
        Failure: the result cannot be known now; nothing is decided.
    """
    try:
        found = await judging
    except Refusal as refusal:
        return _refusing(refusal)
    return lambda: found


def _refusing(refusal: Refusal) -> Callable[[], NoReturn]:
    def refuse() -> NoReturn:
        raise refusal

    return refuse
