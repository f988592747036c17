"""What is asked for: by when, of whom, and that somebody could decide it."""

from datetime import date, datetime, time
from typing import Any

import pytest

from domain import approval
from domain.approval import (
    BARE,
    ApprovalBecameUndecidable,
    ApprovalRequested,
    Escalating,
    Escalation,
    People,
    Policy,
    Unknown,
)
from domain.approval.seen import MOST_PAYLOAD_BYTES
from domain.business_time import Calendar, Hours, NoBusinessTime
from domain.errors import ApprovalUndecidable, BadInput
from tests.builders import NOW, after
from tests.domain.approval.asked import (
    GROUPS,
    REQUESTED,
    approve,
    around,
    asked,
    group,
    of,
    policy,
    reject,
    requested,
    role,
    stage,
    user,
)
from tests.domain.approval.handled import look_again

OFFICE = Calendar(zone="UTC", week={day: (Hours(time(9), time(17)),) for day in range(5)})
"""``NOW`` is a Sunday, a quarter past ten in the evening."""


def test_asking_again_changes_nothing_whatever_has_been_decided() -> None:
    other = requested(amount=1, due_at=after(days=-1))
    for story in (asked(), asked().when(reject("ann")).and_so()):
        story.when(lambda state: approval.request(state, other, of(group("nobody")), around())).then_nothing()


def test_the_policy_the_first_stage_and_its_times_stand_in_the_event() -> None:
    staged = policy(
        stage(
            group("finance", None),
            user("edna"),
            role("cfo", 2),
            name="first",
            agree=2,
            remind_after_seconds=(60.0, 120.0),
            escalations=(Escalation(after_seconds=90.0, to=(group("board"),)),),
        ),
        stage(user("fritz"), name="last"),
    )
    (event,) = asked(staged).events
    assert isinstance(event, ApprovalRequested)
    assert event.policy == staged
    assert event.opening == approval.Opening(
        round=0,
        stage=0,
        name="first",
        waits_for=("group:finance", "user:edna", "role:cfo"),
        seats=(3, 1, 2),
        remind_at=(after(minutes=1), after(minutes=2)),
        escalate=(Escalating(at=after(seconds=90), to=(group("board"),)),),
    )
    assert not event.unchecked
    assert asked(staged).state.waits_for == event.opening.waits_for


def test_a_bare_policy_with_a_due_date_is_kept_and_has_no_stage() -> None:
    story = asked(policy(due_after_seconds=60.0))
    assert (story.state.policy.due_after_seconds, story.state.opening) == (60.0, None)
    assert story.state.due_at == story.state.expires_at == after(minutes=1)
    story.when(approve("ann", at=after(seconds=59))).and_so()


def test_it_is_due_after_so_many_hours_in_the_calendar_and_expires_after_as_many_again() -> None:
    story = asked(policy(due_after_seconds=6 * 3600.0, grace_seconds=3 * 3600.0), calendar=OFFICE)
    assert story.state.due_at == datetime(2026, 11, 23, 15, tzinfo=NOW.tzinfo)
    assert story.state.expires_at == datetime(2026, 11, 24, 10, tzinfo=NOW.tzinfo)


def test_reminders_and_escalations_are_in_business_time_too() -> None:
    first = stage(
        user("ada"),
        remind_after_seconds=(3600.0,),
        escalations=(Escalation(after_seconds=9 * 3600.0, to=(user("edna"),)),),
    )
    opening = asked(policy(first), calendar=OFFICE).state.opening
    assert opening is not None
    assert opening.remind_at == (datetime(2026, 11, 23, 10, tzinfo=NOW.tzinfo),)
    assert opening.escalate[0].at == datetime(2026, 11, 24, 10, tzinfo=NOW.tzinfo)


def test_the_requests_own_due_date_goes_before_the_policys() -> None:
    hours = policy(due_after_seconds=3600.0, grace_seconds=60.0)
    story = asked(hours, requested(due_at=after(days=1)))
    assert story.state.due_at == after(days=1)
    assert story.state.expires_at == after(days=1, seconds=60)


@pytest.mark.parametrize("due_at", [NOW, after(days=-3)])
def test_what_would_be_due_already_is_refused(due_at: datetime) -> None:
    with pytest.raises(BadInput) as caught:
        asked(BARE, requested(due_at=due_at))
    assert caught.value.details == [{"field": "dueAt", "message": "must be later than now"}]
    assert asked(BARE, requested(due_at=after(microseconds=1))).state.status == "pending"


@pytest.mark.parametrize(
    "chosen",
    [
        policy(due_after_seconds=1.0),
        policy(stage(user("ada"), remind_after_seconds=(1.0,))),
        policy(stage(user("ada"), escalations=(Escalation(after_seconds=1.0, to=(user("bob"),)),))),
    ],
)
def test_where_nobody_ever_works_no_due_date_is_promised(chosen: Policy) -> None:
    for calendar in (Calendar(zone="UTC", week={}), Calendar(zone="UTC", week={0: ()})):
        with pytest.raises(NoBusinessTime):
            asked(chosen, calendar=calendar)
    holidays = frozenset(date.fromordinal(day) for day in range(739_000, 741_000))
    with pytest.raises(BadInput):
        asked(chosen, calendar=Calendar(zone="UTC", week=OFFICE.week, holidays=holidays))


def test_a_grace_beyond_the_end_of_the_calendar_is_refused_as_any_bad_input() -> None:
    endless = requested(due_at=datetime.max.replace(tzinfo=NOW.tzinfo))
    berlin = Calendar(zone="Europe/Berlin", week=OFFICE.week)
    with pytest.raises(BadInput):
        asked(policy(grace_seconds=60.0), endless, calendar=berlin)
    assert asked(BARE, endless, calendar=berlin).state.due_at == endless.due_at


def payload_of(size: int) -> dict[str, Any]:
    """Of so many bytes as JSON."""
    return {"text": "ü" * ((size - 11) // 2) + "x" * ((size - 11) % 2)}


def test_a_payload_may_be_so_large_and_no_larger() -> None:
    story = asked(BARE, requested(payload=payload_of(MOST_PAYLOAD_BYTES)))
    assert story.state.payload == payload_of(65_536)
    with pytest.raises(BadInput) as caught:
        asked(BARE, requested(payload=payload_of(MOST_PAYLOAD_BYTES + 1)))
    assert caught.value.details == [{"field": "payload", "message": "must be at most 65536 bytes as JSON"}]


HOPELESS = [
    of(group("nobody")),
    of(group("nobody", None)),
    of(group("nobody", None), agree=1),
    of(group("legal", 3)),
    of(group("finance", 2), group("legal", 2), user("cleo")),
    of(group("finance", None), agree=4),
    of(user("rita")),
    of(user("otto"), user("ada")),
    of(agree=1),
    of(),
    policy(stage(user("ada"), name="first"), stage(group("nobody"), name="last")),
    policy(stage(user("ada"), name="first"), stage(user("bob"), name="second"), stage(name="last")),
]


@pytest.mark.parametrize("hopeless", HOPELESS)
def test_what_nobody_can_decide_is_refused(hopeless: Policy) -> None:
    with pytest.raises(ApprovalUndecidable) as caught:
        asked(hopeless)
    name = "only" if len(hopeless.stages) == 1 else "last"
    reason = f"stage {name} does not have enough people who can agree"
    assert (caught.value.message, caught.value.details) == (reason, {"reason": reason})


@pytest.mark.parametrize("hopeless", HOPELESS)
def test_or_it_is_opened_and_said_to_be_undecidable_where_a_refusal_reaches_nobody(hopeless: Policy) -> None:
    story = asked(hopeless, requested(recipient_id="rolf", approval_url="https://x"), must_open=True)
    event, raised = story.events
    assert isinstance(event, ApprovalRequested)
    assert isinstance(raised, ApprovalBecameUndecidable)
    assert raised.reason.endswith("does not have enough people who can agree")
    assert (raised.at, raised.owner_id, raised.recipient_id) == (NOW, "otto", "rolf")
    assert (raised.approval_url, raised.waits_for) == ("https://x", story.state.waits_for)
    assert (story.state.status, story.state.undecidable) == ("pending", True)


@pytest.mark.parametrize(
    "just_enough",
    [
        of(group("legal", 2)),
        of(group("finance", 2), group("legal", 2)),
        of(group("finance", None), user("edna")),
        of(user("rita"), user("ada"), agree=1),
        of(role("cfo", 7)),
        of(group("nobody"), role("cfo"), agree=1),
        policy(stage(user("ada"), name="first"), stage(user("ada"), name="last")),
    ],
)
def test_what_just_enough_can_decide_is_not_refused(just_enough: Policy) -> None:
    story = asked(just_enough)
    assert len(story.events) == 1
    assert not story.state.undecidable


def test_who_decides_for_the_requester_is_not_among_those_who_could() -> None:
    with pytest.raises(ApprovalUndecidable):
        asked(of(group("legal", 2)), away=[("rita", "dora")])
    lax = policy(stage(group("legal", 2)), separate_duties=False)
    assert asked(lax, away=[("rita", "dora")]).state.status == "pending"


def test_a_stage_does_not_wait_for_who_asked_or_owns_the_deal() -> None:
    story = asked(of(user("rita"), user("otto"), user("ada"), agree=1))
    assert story.state.waits_for == ("user:ada",)
    lax = policy(stage(user("rita"), user("ada")), separate_duties=False)
    assert asked(lax).state.waits_for == ("user:rita", "user:ada")


def test_where_groups_cannot_be_looked_up_it_is_opened_unchecked() -> None:
    unreached = approval.Circumstances(NOW, People(reached=False), around().calendar)
    chosen = of(group("finance", None), group("legal"), user("edna"))
    (event,) = approval.request(None, REQUESTED, chosen, unreached)
    assert isinstance(event, ApprovalRequested)
    assert event.unchecked
    assert event.opening is not None
    assert event.opening.seats == (-1, 1, 1)
    assert event.opening.waits_for == ("group:finance", "group:legal", "user:edna")


def test_what_was_opened_unchecked_and_turns_out_undecidable_is_said_to_be_so_later() -> None:
    story = asked(of(group("nobody")), reached=False)
    assert not story.state.undecidable
    (raised,) = story.when(look_again()).happened()
    assert isinstance(raised, ApprovalBecameUndecidable)


def test_a_bare_approval_needs_no_look_up() -> None:
    nothing = approval.Circumstances(NOW, People(), around().calendar)
    (event,) = approval.request(None, REQUESTED, BARE, nothing)
    assert event == REQUESTED
    unreached = approval.Circumstances(NOW, People(reached=False), around().calendar)
    assert approval.request(None, REQUESTED, BARE, unreached) == (REQUESTED,)


def test_what_has_to_be_looked_up_is_asked_for() -> None:
    nothing = approval.Circumstances(NOW, People(), around().calendar)
    later = stage(group("legal"), name="last")
    with pytest.raises(Unknown) as caught:
        approval.request(None, REQUESTED, policy(stage(group("finance")), later), nothing)
    assert (caught.value.groups, caught.value.delegations) == (frozenset({"finance"}), True)
    known = around(groups={"finance": GROUPS["finance"]}, at=NOW)
    with pytest.raises(Unknown) as caught:
        approval.request(None, REQUESTED, policy(stage(group("finance")), later), known)
    assert (caught.value.groups, caught.value.delegations) == (frozenset({"legal"}), False)
