"""One observer of an end, for all who look out for it.

aiormq makes a new one each time it is asked for ``closing``, and aio-pika takes its callbacks off one that it
asks for anew: those that it has put on stay. Each channel, opened and closed, left 4 KiB on its connection.
"""

import asyncio
from typing import Any, cast

from aiormq.base import Base

_NAME = "_observer_of_closing"
_new_observer = cast(Any, Base.closing).fget


def keep_observers() -> None:
    """Have aiormq give the same observer again while it is open. Once or many times is the same."""
    cast(Any, Base).closing = property(_kept)


def _kept(observed: Base) -> "asyncio.Future[Any]":
    kept: asyncio.Future[Any] | None = getattr(observed, _NAME, None)
    if kept is None or kept.done():
        kept = _new_observer(observed)
        setattr(observed, _NAME, kept)
    return kept
