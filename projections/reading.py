"""How a follower gets the events that it handles: portion by portion in each partition."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from domain.event import PutOff, Recorded
from domain.interest import Interest
from projections.ports import Log


class Portion(Protocol):
    """Events that are handled together."""

    @property
    def events(self) -> Sequence[Recorded]:
        """The events. There are none if nothing is wanted of what was read last."""
        ...

    @property
    def position(self) -> str | None:
        """The position up to which everything is handled after this portion, or None if not even the first
        event is."""
        ...

    @property
    def is_cut(self) -> bool:
        """Whether there may be more now."""
        ...


class Settled(NamedTuple):
    """The position up to which everything is handled, since when something behind it waits, and why."""

    position: str | None
    waiting_since: datetime | None = None
    why: str | None = None


class Ahead(Protocol):
    """What was read of a partition behind the position up to which everything is handled."""

    settled: str | None
    """That position."""

    async def next(self, limit: int) -> Portion | None:
        """Return the next portion, if there is one. It is the same again until it is settled."""
        ...

    def settle(self, put_off: PutOff | None) -> Settled:
        """Note that the portion is handled, except for what was put off."""
        ...


class Reading(ABC):
    """The events ahead of one follower in each partition of a log, as far as it ``wants`` them."""

    def __init__(self, log: Log, wants: Interest) -> None:
        self._log = log
        self._wants = wants
        self._epoch = log.epoch
        self._ahead: dict[str, Ahead] = {}

    @abstractmethod
    def ahead_of(self, partition: str, position: str | None) -> Ahead:
        """Return an empty buffer behind a position up to which everything is handled."""

    async def read(self, partition: str, after: str | None, limit: int) -> Portion | None:
        """Return the next portion behind a position up to which everything is handled. It is the same again
        if it was not settled."""
        if self._epoch != self._log.epoch:
            self._epoch = self._log.epoch
            self._ahead.clear()
        ahead = self._ahead.get(partition)
        if ahead is None or ahead.settled != after:
            ahead = self._ahead[partition] = self.ahead_of(partition, after)
        return await ahead.next(limit)

    def settle(self, partition: str, put_off: PutOff | None) -> Settled:
        """Note that the last portion is handled, except for what was put off."""
        return self._ahead[partition].settle(put_off)

    def forget(self) -> None:
        """Begin again: what was read may be of another log, or somebody else may have continued from
        there."""
        self._ahead.clear()
