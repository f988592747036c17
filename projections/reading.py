"""How a follower comes by what it handles: in each partition portion by portion, each until it is done."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from domain.event import PutOff, Recorded
from domain.interest import Interest
from projections.ports import Log


class Portion(Protocol):
    """What is handled together."""

    @property
    def events(self) -> Sequence[Recorded]:
        """None, where what was read last is not wanted."""
        ...

    @property
    def position(self) -> str | None:
        """Up to where all is handled once these are; none while that is not even the first."""
        ...

    @property
    def is_cut(self) -> bool:
        """Whether there may be more at once."""
        ...


class Settled(NamedTuple):
    """Up to where all is handled; since when something behind that waits, and for what."""

    position: str | None
    waiting_since: datetime | None = None
    why: str | None = None


class Ahead(Protocol):
    """What was read of a partition behind the position up to which all is handled."""

    settled: str | None
    """That position."""

    async def next(self, limit: int) -> Portion | None:
        """What is to be handled next, where there is anything; the same again until it is settled."""
        ...

    def settle(self, put_off: PutOff | None) -> Settled:
        """What was offered is handled, but for what was put off."""
        ...


class Reading(ABC):
    """What is ahead of one follower in each partition of a log, as far as it ``wants`` it."""

    def __init__(self, log: Log, wants: Interest) -> None:
        self._log = log
        self._wants = wants
        self._epoch = log.epoch
        self._ahead: dict[str, Ahead] = {}

    @abstractmethod
    def ahead_of(self, partition: str, position: str | None) -> Ahead:
        """What is ahead of a position up to which all is handled: nothing of it is read yet."""

    async def read(self, partition: str, after: str | None, limit: int) -> Portion | None:
        """What is to be handled next where all up to a position is, and the position once it is handled; the
        same again where it was not settled."""
        if self._epoch != self._log.epoch:
            self._epoch = self._log.epoch
            self._ahead.clear()
        ahead = self._ahead.get(partition)
        if ahead is None or ahead.settled != after:
            ahead = self._ahead[partition] = self.ahead_of(partition, after)
        return await ahead.next(limit)

    def settle(self, partition: str, put_off: PutOff | None) -> Settled:
        """What was read last is handled, but for what was put off."""
        return self._ahead[partition].settle(put_off)

    def forget(self) -> None:
        """Begin anew: what is ahead may be another log's, or somebody else may have gone on from there."""
        self._ahead.clear()
