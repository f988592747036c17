"""Commands on many resources at once: each is tried, and has its own outcome."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from application.side_by_side import outcomes_of
from interfaces.rest.errors import ApiError, refusal_of

Thing = TypeVar("Thing")
Result = TypeVar("Result")

_AT_ONCE = 16


async def try_all(
    order: Callable[[Thing], Awaitable[Result]], things: Iterable[Thing]
) -> Sequence[Result | ApiError]:
    """Run ``order`` for each thing. Return the results in the same order; an error becomes the response that
    it would have had by itself.

    All are tried, even if some fail or the client disconnects meanwhile. Until the last one has ended, the
    request counts among those that are answered, and a service that stops waits for it.
    """
    outcomes = await outcomes_of(order, things, at_once=_AT_ONCE)
    return [refusal_of(outcome) if isinstance(outcome, Exception) else outcome for outcome in outcomes]


def not_carried_out(refusal: ApiError) -> Mapping[str, Any]:
    """Return the outcome of a command that was not carried out: ``refused`` or ``failed``, and the error."""
    error = {"code": refusal.code, "message": refusal.message}
    if refusal.details is not None:
        error["details"] = refusal.details
    return {"outcome": "refused" if refusal.status < 500 else "failed", "error": error}
