"""Spares the garbage collector useless work."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG, _MIDDLE, _OLD = 10_000, 20, 20
"""Of Python's own 700, 10 and 10: a batch of events and its messages are gone before it looks for them."""


def leave_alone_what_is_here_to_stay() -> None:
    """For a service that has been built: its modules and parts are not examined again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)


@contextmanager
def without_collections() -> Iterator[None]:
    """For a build alone: what is folded has no cycles, and looking for some took a third of the time."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
