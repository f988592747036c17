"""What is asked for of many things at once: each is tried, and has an outcome of its own."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from application.side_by_side import outcomes_of
from interfaces.rest.errors import ApiError, refusal_of

Thing = TypeVar("Thing")
Told = TypeVar("Told")

_AT_ONCE = 16


async def tried(
    order: Callable[[Thing], Awaitable[Told]], things: Iterable[Thing]
) -> Sequence[Told | ApiError]:
    """What came of an order to each, in their order, or what it would have been answered with by itself.

    It is given to all, also where some cannot be reached, or the client has hung up meanwhile: what was asked
    for is known, and was begun. Until the last has ended the request keeps its place among those that are
    answered, and a service that stops waits for it.
    """
    outcomes = await outcomes_of(order, things, at_once=_AT_ONCE)
    return [refusal_of(outcome) if isinstance(outcome, Exception) else outcome for outcome in outcomes]


def not_done(refusal: ApiError) -> Mapping[str, Any]:
    """What is told where an order was not carried out: whether it was refused or failed, and why."""
    error = {"code": refusal.code, "message": refusal.message}
    if refusal.details is not None:
        error["details"] = refusal.details
    return {"outcome": "refused" if refusal.status < 500 else "failed", "error": error}
