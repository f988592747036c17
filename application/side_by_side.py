"""Concurrent work on many things, with a limit on how many at a time.

Either all are done whatever becomes of one, and each has its outcome, or the first failure ends the rest.
Nothing continues after either: if the caller is cancelled, all of the work is cancelled, and its end is
awaited.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio

from domain.errors import CutShort, first_of

Thing = TypeVar("Thing")
Result = TypeVar("Result")
Work = Callable[[Thing], Awaitable[Result]]


async def outcomes_of(
    work: Work[Thing, Result], things: Iterable[Thing], *, at_once: int | None = None
) -> list[Result | Exception]:
    """Return the result of the work on each, or the error, in their order. ``at_once`` run at a time."""
    things = list(things)
    outcomes: dict[int, Result | Exception] = {}
    numbered = iter(enumerate(things))

    async def take_turns() -> None:
        for number, thing in numbered:
            try:
                outcomes[number] = await _done(work, thing)
            except Exception as error:
                outcomes[number] = error

    hands = _hands(len(things), at_once)
    if hands <= 1:
        await take_turns()
    else:
        for ended in await asyncio.gather(*(take_turns() for _ in range(hands)), return_exceptions=True):
            if ended is not None:
                raise ended
    return [outcomes[number] for number in range(len(things))]


async def all_of(
    work: Work[Thing, Result], things: Iterable[Thing], *, at_once: int | None = None
) -> list[Result]:
    """Return the results of the work on each, in their order. ``at_once`` run at a time.

    Raises:
        Exception: the first error; the rest was cancelled, and has ended.
    """
    things = list(things)
    results: dict[int, Result] = {}
    numbered = iter(enumerate(things))

    async def take_turns() -> None:
        for number, thing in numbered:
            results[number] = await _done(work, thing)

    try:
        if (hands := _hands(len(things), at_once)) <= 1:
            await take_turns()
        else:
            async with anyio.create_task_group() as tasks:
                for _ in range(hands):
                    tasks.start_soon(take_turns)
    except BaseExceptionGroup as group:
        raise first_of(group.exceptions) from None
    return [results[number] for number in range(len(things))]


def raise_first(outcomes: Iterable[object]) -> None:
    """Raise the most important error among outcomes, if there is any.

    Raises:
        Exception: a lost lease if there is one, or else the first error.
    """
    failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if failures:
        raise first_of(failures)


def _hands(things: int, at_once: int | None) -> int:
    return things if at_once is None else min(things, at_once)


async def _done(work: Work[Thing, Result], thing: Thing) -> Result:
    """Return the result of work that may end as cancelled although nobody here has cancelled it: when a
    connection breaks, those who would have brought a result may cancel what waits for it."""
    try:
        return await work(thing)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise CutShort() from error
