"""Limits how many requests may wait for something to happen. No tenant has more than half of the places."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from interfaces.rest.errors import overloaded

WAITING_TO_A_PLACE = 4
"""How many requests may wait for something to happen, for each one that may be answered at once. A waiting
request costs its connection and a few kilobytes, and does not use a store."""


class WaitingPlaces:
    """A number of places for waiting requests, ``most`` in all."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._share = max(1, most // 2)
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, tenant: str) -> Iterator[None]:
        """Occupy a place for a tenant.

        Raises:
            ApiError: 503, no place is left, in all or for this tenant.
        """
        if not self._left or self._taken[tenant] >= self._share:
            raise overloaded()
        self._left -= 1
        self._taken[tenant] += 1
        try:
            yield
        finally:
            self._left += 1
            self._taken[tenant] -= 1
            if not self._taken[tenant]:
                del self._taken[tenant]
