"""How runs with the same key get along, as given / when / then."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
import pytest

from domain.concurrency import (
    MOST_WAITING,
    ConcurrencyGroup,
    RunEnded,
    RunReplaced,
    Start,
    StartDebounced,
    StartGranted,
    StartQueued,
    StartWithdrawn,
    concurrency_stream,
    end_run,
    evolve,
    group_of,
    pass_debounce,
    request_start,
)
from domain.definition import OPPORTUNITY_ANALYSIS, Concurrency
from domain.errors import BadInput, TooManyWaiting, WorkflowAlreadyRunning
from domain.event import Event
from domain.values import derived_id
from tests.builders import CORRELATION, NOW, TENANT, after
from tests.domain.scenario import Given

GROUP = "opportunity-analysis/key-1"


def asked(workflow_id: str, policy: Any = "queue", **more: Any) -> Start:
    """A start that a message asks for."""
    fields = {"definition": "opportunity-analysis", "actor": "service:crm", "correlation_id": CORRELATION}
    return Start(workflow_id=workflow_id, policy=policy, **{**fields, **more})


def explicit(workflow_id: str, policy: Any = "queue", **more: Any) -> Start:
    """A start that a person asks for."""
    return asked(workflow_id, policy, explicit=True, **more)


def granted(start: Start, at: datetime = NOW) -> StartGranted:
    return StartGranted(group=GROUP, start=start, granted_at=at)


def queued(start: Start, at: datetime = NOW) -> StartQueued:
    return StartQueued(group=GROUP, start=start, queued_at=at)


def debounced(start: Start, due_at: datetime, since: datetime = NOW) -> StartDebounced:
    return StartDebounced(group=GROUP, start=start, since=since, due_at=due_at)


def ended(workflow_id: str) -> RunEnded:
    return RunEnded(group=GROUP, workflow_id=workflow_id, ended_at=NOW)


def withdrawn(start: Start) -> StartWithdrawn:
    return StartWithdrawn(
        group=GROUP, workflow_id=start.workflow_id, explicit=start.explicit, withdrawn_at=NOW
    )


def replaced(workflow_id: str, by: str) -> RunReplaced:
    return RunReplaced(group=GROUP, workflow_id=workflow_id, by=by, replaced_at=NOW)


def given(*events: Event) -> Given[ConcurrencyGroup]:
    return Given(evolve, *events)


def wanted(start: Start, **more: Any) -> Callable[[ConcurrencyGroup | None], tuple[Event, ...]]:
    return lambda state: request_start(state, start, **{"group": GROUP, "now": NOW, **more})


def over(workflow_id: str) -> Callable[[ConcurrencyGroup], tuple[Event, ...]]:
    return lambda state: end_run(state, workflow_id, now=NOW)


def due(workflow_id: str, at: datetime) -> Callable[[ConcurrencyGroup], tuple[Event, ...]]:
    return lambda state: pass_debounce(state, workflow_id, now=at)


@pytest.mark.parametrize("policy", ["allow", "skip", "replace", "queue"])
@pytest.mark.parametrize("ask", [asked, explicit])
def test_the_first_start_is_granted(ask: Callable[..., Start], policy: str) -> None:
    assert wanted(ask("w-1", policy))(None) == (granted(ask("w-1", policy)),)


@pytest.mark.parametrize("policy", ["skip", "replace", "queue"])
def test_a_group_without_a_run_grants_again(policy: str) -> None:
    story = given(granted(asked("w-1", policy)), ended("w-1"))
    story.when(wanted(asked("w-2", policy))).then(granted(asked("w-2", policy)))


def test_runs_that_may_overlap_do() -> None:
    story = given(granted(asked("w-1", "allow"))).when(wanted(asked("w-2", "allow")))
    story.then(granted(asked("w-2", "allow")))


def test_a_hundred_updates_during_a_run_are_one_event() -> None:
    story = given(granted(asked("w-1"))).when(wanted(asked("w-2"))).then(queued(asked("w-2")))
    for number in range(3, 102):
        story.when(wanted(asked(f"w-{number}"))).then_nothing()
    story.when(over("w-1")).then(ended("w-1"), granted(asked("w-2")))


def test_of_updates_with_different_input_the_latest_wins() -> None:
    story = given(granted(asked("w-1")), queued(asked("w-2", input={"n": 1})))
    again = asked("w-2", input={"n": 2}, correlation_id="another")
    story = story.when(wanted(msgspec.structs.replace(again, workflow_id="w-3"))).then(queued(again))
    story.when(over("w-1")).then(ended("w-1"), granted(again))


def test_a_truth_for_a_number_is_different_input() -> None:
    story = given(granted(asked("w-1")), queued(asked("w-2", input={"flag": 1})))
    again = asked("w-3", input={"flag": True})
    story.when(wanted(again)).then(queued(msgspec.structs.replace(again, workflow_id="w-2")))
    story.when(wanted(asked("w-3", input={"flag": 1.0}))).then_nothing()


def test_the_end_of_the_last_run_leaves_nothing_to_do() -> None:
    story = given(granted(asked("w-1")), queued(asked("w-2"))).when(over("w-1")).and_so()
    story = story.when(over("w-2")).then(ended("w-2"))
    assert story.state == ConcurrencyGroup(group=GROUP)


@pytest.mark.parametrize("workflow_id", ["w-0", "w-1"])
def test_the_end_of_what_is_no_run_of_the_group_changes_nothing(workflow_id: str) -> None:
    given(granted(asked("w-1")), ended("w-1"), granted(asked("w-2"))).when(over(workflow_id)).then_nothing()


@pytest.mark.parametrize("workflow_id", ["w-1", "w-2"])
def test_the_same_start_again_changes_nothing(workflow_id: str) -> None:
    story = given(granted(explicit("w-1")), queued(explicit("w-2")))
    story.when(wanted(explicit(workflow_id))).then_nothing()


def test_a_message_is_skipped_without_an_event() -> None:
    given(granted(asked("w-1", "skip"))).when(wanted(asked("w-2", "skip"))).then_nothing()


def test_an_explicit_start_that_is_skipped_is_told_which_workflow_runs() -> None:
    story = given(granted(asked("w-1", "skip"))).when(wanted(explicit("w-2", "skip")))
    assert story.then_refused(WorkflowAlreadyRunning).details == {"workflowId": "w-1"}


def test_explicit_starts_wait_one_by_one_and_in_their_order() -> None:
    story = given(granted(asked("w-1")))
    for start in (explicit("w-2"), asked("w-3"), explicit("w-4")):
        story = story.when(wanted(start)).then(queued(start))
    story.when(wanted(asked("w-5"))).then_nothing()
    story = story.when(over("w-1")).then(ended("w-1"), granted(explicit("w-2")))
    story = story.when(over("w-2")).then(ended("w-2"), granted(asked("w-3")))
    story.when(over("w-3")).then(ended("w-3"), granted(explicit("w-4")))


def test_no_more_than_so_many_explicit_starts_wait() -> None:
    waiting = [queued(explicit(f"w-{number}")) for number in range(MOST_WAITING)]
    story = given(granted(asked("w")), *waiting)
    story.when(wanted(explicit("one-more"))).then_refused(TooManyWaiting)
    story.when(wanted(asked("w-m"))).then(queued(asked("w-m")))


def test_one_that_waits_and_is_cancelled_never_starts() -> None:
    story = given(granted(asked("w-1")), queued(explicit("w-2")), queued(asked("w-3")))
    story = story.when(over("w-2")).then(withdrawn(explicit("w-2")))
    story.when(over("w-1")).then(ended("w-1"), granted(asked("w-3")))


def test_a_run_is_replaced_once_and_the_next_begins_when_it_has_ended() -> None:
    story = given(granted(asked("w-1", "replace")))
    next_one = asked("w-2", "replace")
    story = story.when(wanted(next_one)).then(replaced("w-1", by="w-2"), queued(next_one))
    story.when(wanted(asked("w-3", "replace"))).then_nothing()
    newer = asked("w-2", "replace", input={"n": 1})
    another = msgspec.structs.replace(newer, workflow_id="w-4")
    story.when(wanted(another)).then(queued(newer))
    story.when(over("w-1")).then(ended("w-1"), granted(next_one))


def test_what_waits_is_replaced_too() -> None:
    first = explicit("w-2", "replace")
    story = given(granted(explicit("w-1", "replace")), replaced("w-1", by="w-2"), queued(first))
    newest = explicit("w-3", "replace")
    story = story.when(wanted(newest)).then(withdrawn(first), queued(newest))
    story.when(over("w-1")).then(ended("w-1"), granted(newest))


def test_a_start_is_debounced_until_no_other_has_come_for_so_long() -> None:
    window = {"debounce_seconds": 10.0}
    assert wanted(asked("w-1"), **window)(None) == (debounced(asked("w-1"), after(seconds=10)),)
    story = given(debounced(asked("w-1"), after(seconds=10)))
    story.when(wanted(asked("w-2"), now=after(seconds=2), **window)).then_nothing()
    story = story.when(wanted(asked("w-2"), now=after(seconds=6), **window)).then(
        debounced(asked("w-1"), after(seconds=16))
    )
    story.when(due("w-1", after(seconds=10))).then_nothing()
    at = after(seconds=16)
    story.when(due("w-1", at)).then(granted(asked("w-1"), at))


def test_a_debounced_start_takes_the_latest_input() -> None:
    story = given(debounced(asked("w-1", input={"n": 1}), after(seconds=10)))
    story.when(wanted(asked("w-2", input={"n": 2}), now=after(seconds=1), debounce_seconds=10)).then(
        debounced(asked("w-1", input={"n": 2}), after(seconds=10))
    )


def test_updates_without_an_end_do_not_put_a_start_off_for_ever() -> None:
    story = given(debounced(asked("w-1"), after(seconds=10)))
    for second in range(1, 1000):
        story = story.when(wanted(asked("w-x"), now=after(seconds=second), debounce_seconds=10)).and_so()
    assert story.state.waiting[0].due_at is not None
    assert after(seconds=97) <= story.state.waiting[0].due_at <= after(seconds=100)
    assert len(story.events) < 40


def test_a_debounced_start_that_is_due_during_a_run_waits_for_its_end() -> None:
    start, at = asked("w-2"), after(seconds=10)
    story = given(debounced(start, at), granted(explicit("w-1")))
    story = story.when(due("w-2", at)).then(queued(start, at))
    story.when(due("w-2", at)).then_nothing()
    story.when(over("w-1")).then(ended("w-1"), granted(start))


def test_a_debounced_start_does_not_begin_with_the_end_of_another_run() -> None:
    story = given(debounced(asked("w-2"), after(seconds=10)), granted(explicit("w-1")))
    story.when(over("w-1")).then(ended("w-1"))


def test_a_debounced_start_that_would_be_skipped_is() -> None:
    start, at = asked("w-2", "skip"), after(seconds=10)
    story = given(debounced(start, at), granted(explicit("w-1", "skip")))
    expected = StartWithdrawn(group=GROUP, workflow_id="w-2", withdrawn_at=at)
    story.when(due("w-2", at)).then(expected)


def test_a_start_is_held_back_where_its_tenant_is_too_fast() -> None:
    later = after(seconds=3)
    assert wanted(asked("w-1"), not_before=later)(None) == (debounced(asked("w-1"), later),)
    story = given(debounced(asked("w-1"), later))
    story.when(wanted(asked("w-2"), not_before=after(seconds=9))).then_nothing()
    story.when(due("w-1", later)).then(granted(asked("w-1"), later))


def test_what_waits_for_a_run_anyway_is_not_held_back() -> None:
    story = given(granted(asked("w-1"))).when(wanted(asked("w-2"), not_before=after(seconds=3)))
    story.then(queued(asked("w-2")))


def test_a_person_is_not_held_back() -> None:
    start = explicit("w-1")
    assert wanted(start, not_before=after(hours=1), debounce_seconds=60)(None) == (granted(start),)


def test_the_state_stays_small_however_long_the_stream_gets() -> None:
    state: ConcurrencyGroup | None = None
    for number in range(500):
        for event in request_start(state, asked(f"w-{number}"), group=GROUP, now=NOW):
            state = evolve(state, event)
        assert state is not None
        if number % 5 == 0 and state.running:
            for event in end_run(state, state.running, now=NOW):
                state = evolve(state, event)
    assert state is not None
    assert len(state.waiting) <= 1


def test_the_key_is_found_in_the_input_and_the_opportunity() -> None:
    by_opportunity = {group_of(OPPORTUNITY_ANALYSIS, each, None) for each in ("o-1", "o-1", "o-2")}
    assert len(by_opportunity) == 2
    by_region = msgspec.structs.replace(OPPORTUNITY_ANALYSIS, concurrency=Concurrency(key="input.region"))
    assert group_of(by_region, "o-1", {"region": "eu"}) == group_of(by_region, "o-2", {"region": "eu"})
    assert group_of(by_region, "o-1", {"region": "eu"}) != group_of(by_region, "o-1", {"region": "us"})


def test_a_number_is_the_same_key_however_it_is_written() -> None:
    by_region = msgspec.structs.replace(OPPORTUNITY_ANALYSIS, concurrency=Concurrency(key="input.region"))
    numbers = (7, 7.0, [7], [7.0], {"n": 7}, {"n": 7.0})
    groups = {group_of(by_region, None, {"region": each}) for each in numbers}
    assert len(groups) == 3
    assert group_of(by_region, None, {"region": 7.5}) not in groups
    seven = derived_id("concurrency", "7")
    assert group_of(by_region, None, {"region": 7}) == f"opportunity-analysis/{seven}", "as it stands in logs"


@pytest.mark.parametrize("key", ["opportunityId", "input.regoin", "workflow.opportunityId", "`null`"])
def test_where_the_key_finds_nothing_all_runs_are_of_one_group(key: str) -> None:
    definition = msgspec.structs.replace(OPPORTUNITY_ANALYSIS, concurrency=Concurrency(key=key))
    groups = {group_of(definition, None, each) for each in (None, {}, {"region": "eu"}, {"region": "us"})}
    assert len(groups) == 1


def test_a_key_that_does_not_fit_the_input_is_bad_input() -> None:
    definition = msgspec.structs.replace(
        OPPORTUNITY_ANALYSIS, concurrency=Concurrency(key="length(input.amount)")
    )
    with pytest.raises(BadInput, match="concurrency key"):
        group_of(definition, "o-1", {"amount": 1})


def test_a_group_has_a_stream_of_its_tenant() -> None:
    group = group_of(OPPORTUNITY_ANALYSIS, "o-1", None)
    assert concurrency_stream(TENANT, group).startswith(f"{TENANT}/concurrency/opportunity-analysis/")
