"""Limits on bodies that have not arrived yet. Their requests count among those that are answered. So each
body has a time limit, and those of one tenant may take at most half of the places.
"""

import anyio
from starlette.types import Message, Receive

from interfaces.rest.errors import ApiError
from interfaces.rest.places import WaitingPlaces

BODY_SECONDS = 30.0
"""The time limit for a whole body. For the largest, 1 MiB, it means 35 kB/s."""


class ArrivingBody:
    """The ``receive`` of a request, with these limits on its body."""

    def __init__(self, receive: Receive, places: WaitingPlaces, tenant: str) -> None:
        self._receive = receive
        self._places = places
        self._tenant = tenant
        self._due: float | None = None
        self._is_here = False

    async def __call__(self) -> Message:
        """Return the next message.

        Raises:
            ApiError: 408, the body takes too long; 503, too many bodies of this tenant are arriving.
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
