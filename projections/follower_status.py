"""The status of followers, as the service shows it."""

from collections.abc import Sequence
from typing import Literal

import msgspec

State = Literal["standby", "starting", "running", "failing", "stopped"]


class FollowerStatus(msgspec.Struct, frozen=True):
    """The status of a follower. On ``standby`` another instance follows the log in its place.

    It is ``starting`` until it has been at the log's end once.

    ``lag_seconds`` is the age of the oldest event that it has seen and not handled.
    """

    name: str
    state: State
    lag_seconds: float
    handled: int
    failures: int
    error: str | None


_WORST_FIRST: Sequence[State] = ("failing", "starting", "running", "standby", "stopped")


def together(statuses: Sequence[FollowerStatus]) -> list[FollowerStatus]:
    """Return one status per name: the worst of its shares that are followed here, if any."""
    by_name: dict[str, list[FollowerStatus]] = {}
    for status in statuses:
        by_name.setdefault(status.name, []).append(status)
    return [_together(name, shares) for name, shares in by_name.items()]


def _together(name: str, shares: Sequence[FollowerStatus]) -> FollowerStatus:
    return FollowerStatus(
        name,
        min((each.state for each in shares), key=_WORST_FIRST.index),
        max(each.lag_seconds for each in shares),
        sum(each.handled for each in shares),
        sum(each.failures for each in shares),
        next((each.error for each in shares if each.error is not None), None),
    )
