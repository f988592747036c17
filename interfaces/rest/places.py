"""Places of those who wait for something to happen. No tenant has more than half of them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from interfaces.rest.errors import overloaded

WAITING_TO_A_PLACE = 4
"""How many requests may wait for something to happen, to each that may be answered at a time: one that waits
costs its connection and a few kilobytes, and no turn at a store."""


class WaitingPlaces:
    """``most`` of them."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._share = max(1, most // 2)
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, tenant: str) -> Iterator[None]:
        """Wait in one, for a tenant.

        Raises:
            ApiError: 503, there is none left, or none for this tenant.
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
