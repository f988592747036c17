"""Short words for stories of approvals: who is asked, who is in which group, who decides for whom, and when.

What is asked for happens five minutes after ``NOW``, unless it is said when.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, TypedDict, Unpack

import msgspec

from domain import approval
from domain.approval import (
    BARE,
    Approval,
    ApprovalAgreed,
    ApprovalApproved,
    ApprovalObjected,
    ApprovalRejected,
    ApprovalRequested,
    Approver,
    Ballot,
    Circumstances,
    People,
    Policy,
    Stage,
    digest_of,
)
from domain.approval.policy import Agree
from domain.business_time import ALWAYS, Calendar
from domain.delegation import Delegation, Delegations
from domain.event import Event
from tests.builders import NOW, after
from tests.domain.scenario import Given

Groups = Mapping[str, Collection[str]]
Links = Collection[tuple[str, str]]
Makers = Mapping[tuple[str, str], str]
Decide = Callable[[Approval], tuple[Event, ...]]

GROUPS: Groups = {
    "finance": ("ada", "bob", "cleo"),
    "legal": ("cleo", "dora"),
    "board": ("edna", "fritz"),
    "nobody": (),
}

REQUESTED = ApprovalRequested(
    approval_id="a-1",
    opportunity_id="opp-1",
    risk_score=0.91,
    amount=250_000,
    requested_at=NOW,
    owner_id="otto",
    requested_by="rita",
)

DIGEST = digest_of(opportunity_id="opp-1", amount=250_000, risk_score=0.91, payload=None, bound_to=None)


def requested(**changes: Any) -> ApprovalRequested:
    """The usual request, with something else in it."""
    return msgspec.structs.replace(REQUESTED, **changes)


class Surroundings(TypedDict, total=False):
    """What may be other than usual: ``away`` holds who has delegated to whom, now and for ever, and
    ``made_by`` who has said so, where it was somebody else.
    """

    at: datetime
    groups: Groups
    away: Links
    made_by: Makers
    calendar: Calendar
    reached: bool


class Said(Surroundings, total=False):
    """What somebody may say with a decision."""

    roles: Collection[str]
    comment: str
    digest: str
    stage: str
    for_: str


def delegated(links: Links, made_by: Makers | None = None) -> Delegations:
    """Delegations without an end: the first of each pair is away, the second decides; ``made_by`` is by whom
    those were made that nobody made for themselves.
    """
    makers = made_by or {}
    running = [
        Delegation(
            delegation_id=f"{by}-{to}",
            by=by,
            to=to,
            version=1,
            starts_at=after(days=-1),
            ends_at=after(days=300),
            made_by=makers.get((by, to), by),
        )
        for by, to in dict.fromkeys(links)
    ]
    return Delegations({each.delegation_id: each for each in running})


def around(**given: Unpack[Surroundings]) -> Circumstances:
    """The circumstances; everything is known."""
    members = {name: frozenset(people) for name, people in given.get("groups", GROUPS).items()}
    people = People(
        members, delegated(given.get("away", ()), given.get("made_by")), given.get("reached", True)
    )
    return Circumstances(given.get("at", after(minutes=5)), people, given.get("calendar", ALWAYS))


def surroundings(said: Said) -> Any:
    """Of what is said with a decision, what is about the circumstances."""
    return {name: value for name, value in said.items() if name in Surroundings.__annotations__}


def ballot(by: str, **said: Unpack[Said]) -> Ballot:
    """What somebody says."""
    return Ballot(
        by=by,
        roles=frozenset(said.get("roles", ())),
        comment=said.get("comment"),
        digest=said.get("digest"),
        stage=said.get("stage"),
        on_behalf_of=said.get("for_"),
    )


def approve(by: str, **said: Unpack[Said]) -> Decide:
    """To agree."""
    return lambda state: approval.approve(state, ballot(by, **said), around(**surroundings(said)))


def reject(by: str, **said: Unpack[Said]) -> Decide:
    """To be against it."""
    return lambda state: approval.reject(state, ballot(by, **said), around(**surroundings(said)))


def user(name: str) -> Approver:
    """A person."""
    return Approver(user=name)


def group(name: str, count: int | None = 1) -> Approver:
    """Some of a group; all of it if ``None``."""
    return Approver(group=name, count=count)


def role(name: str, count: int = 1) -> Approver:
    """Some who bear a role."""
    return Approver(role=name, count=count)


def stage(*approvers: Approver, name: str = "only", agree: Agree = "all", **how: Any) -> Stage:
    """A stage."""
    return Stage(name=name, approvers=approvers, agree=agree, **how)


def policy(*stages: Stage, **how: Any) -> Policy:
    """A policy."""
    return Policy(stages=stages, **how)


def of(*approvers: Approver, agree: Agree = "all", **how: Any) -> Policy:
    """A policy of one stage."""
    return policy(stage(*approvers, agree=agree, **how))


def given(*events: Event) -> Given[Approval]:
    """What has happened."""
    return Given(approval.evolve, *events)


def asked(
    chosen: Policy = BARE,
    request: ApprovalRequested = REQUESTED,
    *,
    must_open: bool = False,
    **here: Unpack[Surroundings],
) -> Given[Approval]:
    """An approval that was asked for at ``NOW``."""
    here.setdefault("at", NOW)
    circumstances = around(**here)
    return given(*approval.request(None, request, chosen, circumstances, refuse_undecidable=not must_open))


def agreed(by: str, *seats: int, own: tuple[int, ...] | None = None, **more: Any) -> ApprovalAgreed:
    """That somebody has agreed, in the first stage of the usual approval; the seats are their own."""
    return ApprovalAgreed(**_vote(by, seats, own, more))


def objected(by: str, *seats: int, own: tuple[int, ...] | None = None, **more: Any) -> ApprovalObjected:
    """That somebody was against it."""
    return ApprovalObjected(**_vote(by, seats, own, more))


def _vote(by: str, seats: tuple[int, ...], own: tuple[int, ...] | None, more: dict[str, Any]) -> Any:
    mine = seats if own is None else own
    usual = {"approval_id": "a-1", "stage": 0, "at": after(minutes=5), "digest": DIGEST}
    return usual | {"by": by, "seats": seats, "own": mine} | more


def approved(by: str, **more: Any) -> ApprovalApproved:
    """That the usual approval was approved."""
    return ApprovalApproved(**_decided(by) | more)


def rejected(by: str, **more: Any) -> ApprovalRejected:
    """That the usual approval was rejected."""
    return ApprovalRejected(**_decided(by) | more)


def _decided(by: str) -> Any:
    return {
        "approval_id": "a-1",
        "opportunity_id": "opp-1",
        "decided_by": by,
        "decided_at": after(minutes=5),
        "digest": DIGEST,
    }
