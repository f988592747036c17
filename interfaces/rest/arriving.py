"""Bodies that have not come yet. Each holds a place among the requests that are answered, so no tenant may
have more than half of those places for them, and none has its place for ever.
"""

import anyio
from starlette.types import Message, Receive

from interfaces.rest.errors import ApiError
from interfaces.rest.places import WaitingPlaces

BODY_SECONDS = 30.0
"""For a whole body, of 1 MiB at most: 35 kB a second."""


class ArrivingBody:
    """A request's ``receive``."""

    def __init__(self, receive: Receive, places: WaitingPlaces, tenant: str) -> None:
        self._receive = receive
        self._places = places
        self._tenant = tenant
        self._due: float | None = None
        self._is_here = False

    async def __call__(self) -> Message:
        """What comes next.

        Raises:
            ApiError: 408, the body takes too long; 503, too many of this tenant's are on their way.
        """
        if self._is_here:
            return await self._receive()
        if self._due is None:
            self._due = anyio.current_time() + BODY_SECONDS
        with self._places.taken(self._tenant):
            try:
                with anyio.fail_after(self._due - anyio.current_time()):
                    message = await self._receive()
            except TimeoutError:
                raise _too_slow() from None
        self._is_here = not message.get("more_body", False)
        return message


def _too_slow() -> ApiError:
    return ApiError(
        408,
        "REQUEST_TIMEOUT",
        f"the body did not arrive within {BODY_SECONDS:g} s",
        headers={"Connection": "close"},
    )
