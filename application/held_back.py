"""Judgements by what may have changed since: told only where something is decided for the first time.

A command may come again at any time after it was handled, and is answered by its stream. What the settings,
the definitions or a schema say by then is not its concern: so that is asked for within ``decide``, to which a
command whose id the stream holds never comes.
"""

from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from domain.errors import Refusal

T = TypeVar("T")


async def held_back(judging: Awaitable[T]) -> Callable[[], T]:
    """What comes of a look outside of the stream, for ``decide`` to call: it is told there, or refused there.

    Raises:
        Failure: the world does not let it be known; nothing is decided.
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
