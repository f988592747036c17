"""Groups that user-management knows, requested over HTTP."""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Annotated, NamedTuple
from urllib.parse import quote

import msgspec
import structlog
from cachetools import LRUCache

from application.ports import BadAnswer, HttpAnswer, HttpRequest, NoAnswer, StepCaller
from domain.errors import DirectoryUnavailable
from domain.json_text import InvalidJson, read_json
from domain.values import LONGEST_ID

SERVICE = "user_management"
"""The name of the service among those that the caller knows."""

MOST_NAMES = 5_000
"""The most members of a group, and the most groups of a person."""

STALE_SECONDS = 300.0
"""The greatest age of an answer that is used while no newer one can be had."""

AGAIN_SECONDS = 5.0
"""How often user-management is asked again meanwhile. Otherwise everybody would wait for an answer that does
not come."""

MOST_KEPT = 500_000
"""The most names in all answers that are kept. The least recently used answers are dropped; some names may be
long."""

_AN_ANSWER = 50
"""How many names take as much memory as an answer without names."""

_GROUPS, _USERS = "groups", "users"
_DOTS = re.compile(r"(\A|[/\\])\.{1,2}([/\\]|\Z)")

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_ID, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
_Names = Annotated[list[_Name], msgspec.Meta(max_length=MOST_NAMES)]

log = structlog.get_logger(__name__)


class Asked(NamedTuple):
    """A question: who is in one of a tenant's ``groups``, or which groups one of its ``users`` is in."""

    tenant: str
    among: str
    name: str


class Known(NamedTuple):
    """An answer, when it was given, and when to ask again."""

    names: frozenset[str]
    since: float
    again_at: float

    @property
    def weight(self) -> int:
        """The memory that the answer takes, counted in names."""
        return _AN_ANSWER + len(self.names)


class _Members(msgspec.Struct):
    members: _Names


class _Groups(msgspec.Struct):
    groups: _Names


class HttpDirectory:
    """Asks user-management, and keeps each answer for a while.

    Concurrent requests for the same question share one call, which continues even if one of them gives up. No
    part of an answer is ever logged.
    """

    def __init__(
        self,
        caller: StepCaller,
        *,
        kept_seconds: float,
        timeout_seconds: float,
        most_kept: int = MOST_KEPT,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._caller = caller
        self._kept_seconds = kept_seconds
        self._timeout_seconds = timeout_seconds
        self._now = now
        self._known: LRUCache[Asked, Known] = LRUCache(most_kept, getsizeof=lambda known: known.weight)
        self._calls: dict[Asked, asyncio.Task[frozenset[str] | str]] = {}

    async def members_of(self, tenant: str, group: str) -> frozenset[str]:
        """Return everybody in a group.

        Raises:
            DirectoryUnavailable: the service gives no usable answer now.
        """
        return await self._names(Asked(tenant, _GROUPS, group))

    async def groups_of(self, tenant: str, person: str) -> frozenset[str]:
        """Return every group that somebody is in.

        Raises:
            DirectoryUnavailable: the service gives no usable answer now.
        """
        return await self._names(Asked(tenant, _USERS, person))

    async def _names(self, asked: Asked) -> frozenset[str]:
        if _DOTS.search(asked.name):
            return frozenset()  # a path with such a name would lead elsewhere
        known = self._known.get(asked)
        if known is not None and self._now() < known.again_at:
            return known.names
        call = self._calls.get(asked)
        if call is None:
            call = self._calls[asked] = asyncio.create_task(self._call(asked))
            call.add_done_callback(lambda _: self._calls.pop(asked))
        outcome = await asyncio.shield(call)
        if isinstance(outcome, str):
            what = "who is in the group" if asked.among == _GROUPS else "which groups there are of"
            raise DirectoryUnavailable(f"{what} {asked.name} cannot be told now: user-management: {outcome}")
        return outcome

    async def _call(self, asked: Asked) -> frozenset[str] | str:
        """Return the names, or why there are none."""
        began = self._now()
        answer = await self._caller.call(_request(asked), self._timeout_seconds)
        found = _read(asked, answer)
        if not isinstance(found, str):
            self._known[asked] = Known(found, began, began + self._kept_seconds)
            return found
        known, now = self._known.get(asked), self._now()
        if known is None or now > known.since + STALE_SECONDS:
            return found
        log.warning("directory_answer_is_old", seconds=round(now - known.since), reason=found)
        again_at = min(now + AGAIN_SECONDS, known.since + STALE_SECONDS)
        self._known[asked] = known._replace(again_at=again_at)
        return known.names


def _request(asked: Asked) -> HttpRequest:
    of = "members" if asked.among == _GROUPS else "groups"
    return HttpRequest(
        service=SERVICE,
        method="GET",
        path=f"/api/v1/{asked.among}/{quote(asked.name, safe='')}/{of}",
        tenant=asked.tenant,
        headers={"X-Tenant-ID": asked.tenant},
    )


def _read(asked: Asked, answer: HttpAnswer | NoAnswer | BadAnswer) -> frozenset[str] | str:
    """Return the names in an answer, or what is wrong with it, without any text that may quote the answer."""
    match answer:
        case NoAnswer(why, timed_out):
            return why if timed_out else ": ".join(why.split(": ")[:2])
        case BadAnswer(why):
            return why.partition(": ")[0]
    if answer.status == 404:
        return frozenset()
    if answer.status != 200:
        return f"it answered {answer.status}"
    try:
        said = read_json(answer.body)
        if asked.among == _GROUPS:
            return frozenset(msgspec.convert(said, _Members).members)
        return frozenset(msgspec.convert(said, _Groups).groups)
    except (InvalidJson, msgspec.ValidationError):
        return f"its answer is no list of at most {MOST_NAMES} names"
