"""Backoff for partitions that failed: each rests for a while, because others wait for whoever asks it."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import msgspec

from domain.errors import StoreUnavailable

_SHORTEST_REST_SECONDS = 1.0
_LONGEST_REST_SECONDS = 30.0


class _Trouble(msgspec.Struct):
    error: StoreUnavailable
    again_at: float
    is_asked: bool = False


class PartitionBackoff:
    """The failed partitions of one process. Each rests for ``rest_for_a_second`` seconds per second that its
    failure took."""

    def __init__(self, *, rest_for_a_second: float) -> None:
        self._rest_for_a_second = rest_for_a_second
        self._troubles: dict[str, _Trouble] = {}

    def why(self, partition: str) -> StoreUnavailable | None:
        """Return the last failure of a partition that rests, or that somebody is trying just now. Return None
        for any other."""
        trouble = self._troubles.get(partition)
        if trouble is None or not (trouble.is_asked or time.monotonic() < trouble.again_at):
            return None
        return trouble.error

    def note(self, partition: str, error: StoreUnavailable, seconds: float) -> bool:
        """Note that a partition failed after so many seconds. Return whether it worked before."""
        is_new = partition not in self._troubles
        rest = min(max(_SHORTEST_REST_SECONDS, self._rest_for_a_second * seconds), _LONGEST_REST_SECONDS)
        self._troubles[partition] = _Trouble(error, time.monotonic() + rest)
        return is_new

    def settle(self, partition: str) -> None:
        """Note that a partition has answered."""
        self._troubles.pop(partition, None)

    def forget_besides(self, partitions: Collection[str]) -> None:
        """Forget all partitions except these."""
        self._troubles = {each: trouble for each, trouble in self._troubles.items() if each in partitions}

    @contextmanager
    def asking(self, partition: str) -> Iterator[None]:
        """Note the outcome of asking a partition. If it had failed before, others who come meanwhile are told
        so at once."""
        trouble, began = self._troubles.get(partition), time.monotonic()
        if trouble is not None:
            trouble.is_asked = True
        try:
            yield
        except StoreUnavailable as error:
            self.note(partition, error, time.monotonic() - began)
            raise
        else:
            self.settle(partition)
        finally:
            if trouble is not None:
                trouble.is_asked = False
