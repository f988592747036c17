"""Claims after a failover that has lost commits: versions that were had in the lost log are had by nobody."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from application.command import Command
from application.deciders import Committed
from application.dispatcher import Dispatcher
from application.pasts import Past
from application.shared_reads import SharedReads
from application.task_claims import TaskClaims, Wanted
from application.task_commands import ClaimTask
from application.task_news import Candidate, TaskNews
from domain.errors import TaskNotOffered
from tests.application.logs import open_logs, sqlite_settings
from tests.builders import SettableClock, metadata

pytestmark = pytest.mark.anyio

WANTED = Wanted(meta=metadata(), queue="q", worker_id="w", most=1, lease_seconds=60)


class Log:
    """One task, offered at version 1. A failover loses who has it."""

    def __init__(self) -> None:
        self.switches = 0
        self.is_had = False
        self.fails_over_before_it_answers = False

    async def __call__(self, command: Command) -> Committed:
        if self.is_had:
            raise TaskNotOffered("another worker has the task")
        self.is_had = True
        if self.fails_over_before_it_answers:
            self.fail_over()
        return Committed("stream", Past(), (), "position", 2)

    def fail_over(self) -> None:
        self.switches += 1
        self.is_had = False

    async def offered(
        self, tenant: str, queue: str, *, after: tuple[str, str] | None, limit: int
    ) -> tuple[Sequence[Candidate], None]:
        return [("t-1", 1)], None

    async def expired(self, tenant: str, queue: str, *, now: datetime, limit: int) -> Sequence[Candidate]:
        return []


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def claims(log: Log, tmp_path: Path) -> Iterator[TaskClaims]:
    dispatch = Dispatcher({ClaimTask: log})
    with open_logs(sqlite_settings(tmp_path)) as logs:
        store = logs.store()
        news = TaskNews(store, SharedReads(store))
        yield TaskClaims(dispatch, log, news, SettableClock(), lambda: "token", switches=lambda: log.switches)


async def ids(claims: TaskClaims) -> list[str]:
    return [each.task_id for each in await claims.claim(WANTED)]


async def test_a_task_whose_claim_was_lost_can_be_had_again(log: Log, claims: TaskClaims) -> None:
    assert await ids(claims) == ["t-1"]
    assert await ids(claims) == []
    log.fail_over()
    assert await ids(claims) == ["t-1"]
    assert await ids(claims) == []


async def test_what_is_told_of_a_claim_after_it_was_lost_is_of_the_lost_log(
    log: Log, claims: TaskClaims
) -> None:
    log.fails_over_before_it_answers = True
    assert await ids(claims) == ["t-1"]
    log.fails_over_before_it_answers = False
    assert await ids(claims) == ["t-1"]
    assert await ids(claims) == []
