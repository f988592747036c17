"""A task: offered, claimed under a lease, ended once."""

from typing import Any

import msgspec
import pytest

from domain import task
from domain.errors import TaskEnded, TaskLeaseLost, TaskNotOffered
from domain.task import (
    Task,
    TaskClaimed,
    TaskCompleted,
    TaskFailed,
    TaskLeaseExpired,
    TaskLeaseExtended,
    TaskOffered,
    TaskReleased,
    TaskRevoked,
    digest_of,
    task_id_of,
)
from domain.task.rules import MOST_LOST
from tests.builders import NOW, after
from tests.domain.scenario import Given

ANN, BOB = digest_of("ann's token"), digest_of("bob's token")


def offered(**more: Any) -> TaskOffered:
    return TaskOffered(
        task_id="t-1",
        queue="reports",
        input={"n": 1},
        workflow_id="w-1",
        step_id="s-1",
        step_type="write",
        attempt=2,
        offered_at=NOW,
        **more,
    )


def claimed(by: str = "ann", digest: str = ANN, at: float = 0, seconds: float = 60) -> TaskClaimed:
    return TaskClaimed(
        task_id="t-1",
        worker_id=by,
        lease_digest=digest,
        lease_seconds=seconds,
        lease_until=after(seconds=at + seconds),
        claimed_at=after(seconds=at),
    )


def extended(until: float, before: float, at: float) -> TaskLeaseExtended:
    return TaskLeaseExtended(
        task_id="t-1",
        lease_until=after(seconds=until),
        previous_until=after(seconds=before),
        extended_at=after(seconds=at),
    )


def released(at: float, by: str = "ann", until: float = 60) -> TaskReleased:
    return TaskReleased(
        task_id="t-1",
        queue="reports",
        worker_id=by,
        lease_until=after(seconds=until),
        released_at=after(seconds=at),
    )


def expired(at: float, by: str = "ann", until: float = 60) -> TaskLeaseExpired:
    return TaskLeaseExpired(
        task_id="t-1",
        queue="reports",
        worker_id=by,
        lease_until=after(seconds=until),
        expired_at=after(seconds=at),
    )


def completed(at: float, output: Any, by: str = "ann", until: float = 60) -> TaskCompleted:
    return TaskCompleted(
        task_id="t-1",
        workflow_id="w-1",
        step_id="s-1",
        attempt=2,
        worker_id=by,
        output=output,
        lease_until=after(seconds=until),
        completed_at=after(seconds=at),
    )


def failed(at: float, error: str = "no ink", *, retryable: bool = True) -> TaskFailed:
    return TaskFailed(
        task_id="t-1",
        workflow_id="w-1",
        step_id="s-1",
        attempt=2,
        worker_id="ann",
        error=error,
        retryable=retryable,
        lease_until=after(seconds=60),
        failed_at=after(seconds=at),
    )


def revoked(at: float, until: float | None = None) -> TaskRevoked:
    return TaskRevoked(
        task_id="t-1",
        reason="the step was cancelled",
        lease_until=None if until is None else after(seconds=until),
        revoked_at=after(seconds=at),
    )


def given(*events: Any) -> Given[Task]:
    return Given(task.evolve, offered(), *events)


def claim(by: str = "ann", digest: str = ANN, at: float = 0, seconds: float = 60) -> Any:
    return lambda state: task.claim(
        state, worker_id=by, lease_digest=digest, lease_seconds=seconds, now=after(seconds=at)
    )


def heartbeat(digest: str = ANN, at: float = 0, seconds: float | None = None) -> Any:
    return lambda state: task.heartbeat(
        state, lease_digest=digest, lease_seconds=seconds, now=after(seconds=at)
    )


def release(digest: str = ANN, at: float = 0) -> Any:
    return lambda state: task.release(state, lease_digest=digest, now=after(seconds=at))


def complete(digest: str = ANN, at: float = 0, output: Any = None) -> Any:
    return lambda state: task.complete(state, lease_digest=digest, output=output, now=after(seconds=at))


def fail(digest: str = ANN, at: float = 0, error: str = "no ink", retryable: bool = True) -> Any:
    return lambda state: task.fail(
        state, lease_digest=digest, error=error, retryable=retryable, now=after(seconds=at)
    )


def expire(at: float) -> Any:
    return lambda state: task.expire(state, now=after(seconds=at))


def revoke(at: float) -> Any:
    return lambda state: task.revoke(state, reason="the step was cancelled", now=after(seconds=at))


BY_HOLDER = [heartbeat, release, complete, fail]
"""What only the holder of the lease may ask for."""


def test_a_task_is_offered_once() -> None:
    assert task.offer(None, offered()) == (offered(),)
    given().when(lambda state: task.offer(state, offered(deadline_at=after(seconds=9)))).then_nothing()


def test_each_dispatch_of_a_step_has_a_task_of_its_own() -> None:
    assert task_id_of("s-1", 1) == task_id_of("s-1", 1)
    assert len({task_id_of(step, attempt) for step in ("s-1", "s-2") for attempt in (1, 2)}) == 4


def test_a_token_is_not_in_its_digest() -> None:
    assert digest_of("ann's token") == ANN
    assert "ann" not in ANN
    assert len({ANN, BOB, digest_of("")}) == 3


def test_an_offered_task_is_claimed_for_so_many_seconds() -> None:
    given().when(claim(at=5, seconds=30)).then(claimed(at=5, seconds=30))


def test_a_claimed_task_is_nobody_elses_until_the_lease_ends() -> None:
    story = given(claimed())
    story.when(claim("bob", BOB, at=59.999)).then_refused(TaskNotOffered)
    story.when(claim("bob", BOB, at=60)).then(expired(60), claimed("bob", BOB, at=60))


def test_who_has_a_task_cannot_claim_it_again() -> None:
    given(claimed()).when(claim(at=1)).then_refused(TaskNotOffered)


def test_a_task_whose_step_has_no_time_left_is_not_handed_out() -> None:
    story = Given(task.evolve, offered(deadline_at=after(seconds=10)))
    story.when(claim(at=9.999)).then(claimed(at=9.999))
    story.when(claim(at=10)).then_refused(TaskNotOffered)


@pytest.mark.parametrize("end", [completed(9, {}), failed(9), revoked(9, until=60)])
def test_a_task_that_has_ended_is_neither_claimed_nor_expired_nor_revoked(end: Any) -> None:
    story = given(claimed(), end)
    story.when(claim("bob", BOB, at=99)).then_refused(TaskEnded)
    story.when(expire(99)).then_nothing()
    story.when(revoke(99)).then_nothing()


def test_a_heartbeat_moves_the_end_of_the_lease_from_now() -> None:
    given(claimed()).when(heartbeat(at=30)).then(extended(90, 60, 30)).when(heartbeat(at=80)).then(
        extended(140, 90, 80)
    )


def test_a_heartbeat_may_ask_for_longer_and_never_gets_less() -> None:
    given(claimed()).when(heartbeat(at=1, seconds=600)).then(extended(601, 60, 1))
    given(claimed()).when(heartbeat(at=1, seconds=5)).then_nothing()


def test_heartbeats_that_hardly_move_the_end_are_not_stored() -> None:
    story = given(claimed())
    story.when(heartbeat(at=14.999)).then_nothing()
    story.when(heartbeat(at=15)).then(extended(75, 60, 15))


def test_ten_heartbeats_a_second_leave_four_events_a_lease() -> None:
    story = given(claimed())
    for tenth in range(600):
        story = story.when(heartbeat(at=tenth / 10)).and_so()
    assert len(story.events) == 2 + 3


def test_a_lease_that_has_run_out_counts_until_somebody_says_so() -> None:
    given(claimed()).when(complete(at=61, output=1)).then(completed(61, 1))
    given(claimed()).when(heartbeat(at=61)).then(extended(121, 60, 61))
    for ask in BY_HOLDER:
        given(claimed(), expired(61)).when(ask(at=62)).then_refused(TaskLeaseLost)


@pytest.mark.parametrize("ask", BY_HOLDER)
def test_whoever_has_not_the_token_can_do_nothing(ask: Any) -> None:
    for story in (given(), given(claimed()), given(claimed(), expired(60), claimed("bob", BOB, at=60))):
        story.when(ask(digest=digest_of("a guess"), at=61)).then_refused(TaskLeaseLost)
    given(claimed(), expired(60), claimed("bob", BOB, at=60)).when(ask(at=61)).then_refused(TaskLeaseLost)


@pytest.mark.parametrize("end", [completed(9, {}), failed(9), revoked(9, until=60)])
@pytest.mark.parametrize("ask", BY_HOLDER)
def test_a_stranger_is_not_told_that_a_task_has_ended(ask: Any, end: Any) -> None:
    given(claimed(), end).when(ask(digest=BOB, at=10)).then_refused(TaskLeaseLost)


def test_a_released_task_is_in_its_queue_at_once() -> None:
    story = given(claimed()).when(release(at=3)).then(released(3))
    story.when(claim("bob", BOB, at=3)).then(claimed("bob", BOB, at=3))
    for ask in (heartbeat, complete, fail):
        story.when(ask(at=4)).then_refused(TaskLeaseLost)


def test_to_release_twice_changes_nothing_until_another_has_it() -> None:
    given(claimed(), released(3)).when(release(at=4)).then_nothing()
    given(claimed(), released(3), claimed("bob", BOB, at=3)).when(release(at=4)).then_refused(TaskLeaseLost)


def test_the_same_result_again_changes_nothing_and_another_is_refused() -> None:
    story = given(claimed(), completed(9, {"pages": 3}))
    story.when(complete(at=10, output={"pages": 3})).then_nothing()
    story.when(complete(at=10, output={"pages": 3.0})).then_nothing()
    one = given(claimed(), completed(9, {"ok": 1}))
    one.when(complete(at=10, output={"ok": True})).then_refused(TaskEnded)
    refusal = story.when(complete(at=10, output={"pages": 4})).then_refused(TaskEnded)
    assert refusal.details == {"status": "completed"}
    for ask in (heartbeat, release, fail):
        story.when(ask(at=10)).then_refused(TaskEnded)


def test_the_same_failure_again_changes_nothing_and_another_is_refused() -> None:
    story = given(claimed()).when(fail(at=9, retryable=False)).then(failed(9, retryable=False))
    story.when(fail(at=10, retryable=False)).then_nothing()
    story.when(fail(at=10)).then_refused(TaskEnded)
    story.when(fail(at=10, error="no paper", retryable=False)).then_refused(TaskEnded)
    story.when(complete(at=10)).then_refused(TaskEnded)


def test_a_lease_expires_at_its_end_and_not_before() -> None:
    story = given(claimed(), extended(90, 60, 30))
    story.when(expire(60)).then_nothing()
    story.when(expire(89.999)).then_nothing()
    story.when(expire(90)).then(expired(90, until=90)).when(expire(91)).then_nothing()
    given().when(expire(99)).then_nothing()


def test_a_revoked_task_is_nobodys_and_its_worker_is_told() -> None:
    given().when(revoke(5)).then(revoked(5)).when(claim(at=6)).then_refused(TaskEnded)
    story = given(claimed()).when(revoke(5)).then(revoked(5, until=60))
    for ask in BY_HOLDER:
        refusal = story.when(ask(at=6)).then_refused(TaskEnded)
        assert refusal.details == {"status": "revoked"}


def test_a_task_that_was_never_there_is_not_revoked() -> None:
    assert task.revoke(None, reason="r", now=NOW) == ()


def test_a_task_begins_with_its_offer() -> None:
    with pytest.raises(TypeError, match="cannot begin"):
        task.evolve(None, claimed())
    with pytest.raises(TypeError, match="cannot follow"):
        task.evolve(given().state, offered())


def test_what_so_many_workers_die_of_fails() -> None:
    before: list[Any] = []
    for number in range(MOST_LOST - 1):
        at = 60.0 * number
        before += [claimed(at=at), expired(at + 60, until=at + 60)]
    last = given(*before, claimed(at=540))
    last.when(expire(600)).then(
        expired(600, until=600),
        msgspec.structs.replace(
            failed(600, "10 workers claimed the task and were not heard from again"),
            lease_until=after(seconds=600),
        ),
    )
    last.when(claim("bob", BOB, at=600)).then_refused(TaskNotOffered)
    last.when(complete(at=600, output={})).then(completed(600, {}, until=600))
