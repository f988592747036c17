"""Partitions in which a follower could not continue. Each is retried in its own time while others
continue."""

from collections.abc import Set as AbstractSet

import anyio
import msgspec
import structlog

from domain.errors import Failure
from projections.patience import wait_after

log = structlog.get_logger(__name__)


class _Trouble(msgspec.Struct, frozen=True):
    error: Exception
    tries: int
    again_at: float


class Troubles:
    """The failed partitions of one follower."""

    def __init__(self, follower: str) -> None:
        self._follower = follower
        self._by_partition: dict[str, _Trouble] = {}

    @property
    def error(self) -> Exception | None:
        """The error of the partition that has failed for the longest time."""
        return next((trouble.error for trouble in self._by_partition.values()), None)

    def __contains__(self, partition: str) -> bool:
        return partition in self._by_partition

    @property
    def waiting(self) -> AbstractSet[str]:
        """The partitions that must not be retried yet."""
        if not self._by_partition:
            return frozenset()
        now = anyio.current_time()
        return {partition for partition, each in self._by_partition.items() if each.again_at > now}

    def seconds(self, most: float) -> float:
        """Return the time until the next retry, or ``most`` if none is due before."""
        if not self._by_partition:
            return most
        next_at = min(each.again_at for each in self._by_partition.values())
        return max(0.0, min(most, next_at - anyio.current_time()))

    def note(self, partition: str, error: Exception) -> None:
        """Note that a partition has failed. Its error is logged in full once."""
        known = self._by_partition.get(partition)
        tries = known.tries + 1 if known else 1
        said = f"{type(error).__name__}: {error}"
        if known is None:
            log.error(
                "follower_failing",
                follower=self._follower,
                partition=partition,
                error=said,
                exc_info=None if isinstance(error, Failure) else error,
            )
        seconds = wait_after(tries)
        log.warning(
            "trying_again",
            what=f"follower {self._follower}",
            partition=partition,
            attempt=tries,
            in_seconds=round(seconds, 2),
            error=said,
        )
        self._by_partition[partition] = _Trouble(error, tries, anyio.current_time() + seconds)

    def settle(self, partition: str) -> None:
        """Note that a partition has continued, or has nothing to do."""
        self._by_partition.pop(partition, None)

    def clear(self) -> None:
        """Forget all failures."""
        self._by_partition.clear()
