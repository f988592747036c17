"""Approvals: load, decide, append. What a decision needs to know of people is looked up on the way."""

from collections.abc import Callable, Mapping
from datetime import datetime

from application.approval_commands import (
    ApprovalCommand,
    ApproveApproval,
    ClaimApproval,
    CommentOnApproval,
    EscalateApproval,
    ExpireApproval,
    LookAgainAtApproval,
    ReassignApproval,
    RejectApproval,
    ReleaseApproval,
    RemindOfApproval,
    RequestApproval,
    ReviseApproval,
    WithdrawApproval,
)
from application.approval_terms import ApprovalTerms, Terms
from application.command import Command, moment_of
from application.deciders import Committed
from application.dispatcher import Handler
from application.event_store import EventStore
from application.people import PeopleLookup
from application.ports import Clock
from application.starters import starter_of
from domain import approval
from domain.approval import Approval, ApprovalRequested, Circumstances, People, Policy, approval_stream
from domain.errors import ApprovalNotFound, BadInput
from domain.event import Event

Decide = Callable[[Approval, Circumstances], tuple[Event, ...]]


class ApprovalHandlers:
    """The handlers of the commands about approvals."""

    def __init__(self, store: EventStore, clock: Clock, people: PeopleLookup, terms: ApprovalTerms) -> None:
        self._store = store
        self._clock = clock
        self._people = people
        self._terms = terms

    def handlers(self) -> Mapping[type[Command], Handler]:
        """Return the handler of each command."""
        return {
            RequestApproval: self.request_approval,
            ApproveApproval: self.approve_approval,
            RejectApproval: self.reject_approval,
            ReviseApproval: self.revise_approval,
            WithdrawApproval: self.withdraw_approval,
            ReassignApproval: self.reassign_approval,
            ClaimApproval: self.claim_approval,
            ReleaseApproval: self.release_approval,
            CommentOnApproval: self.comment_on_approval,
            ExpireApproval: self.expire_approval,
            RemindOfApproval: self.remind_of_approval,
            EscalateApproval: self.escalate_approval,
            LookAgainAtApproval: self.look_again_at_approval,
        }

    async def request_approval(self, command: RequestApproval) -> Committed:
        """Open an approval. One that exists is left as it is, whatever the terms say by then."""
        now = self._clock.now()
        terms = self._terms.of(command.meta.tenant)
        requested = _requested(command, terms, await self._requester(command), now)

        async def request(people: People) -> Committed:
            around = Circumstances(now, people, terms.calendar)

            def decide(state: Approval | None) -> tuple[Event, ...]:
                if state is not None:
                    return ()
                policy = _policy(command, terms, requested, now)
                return approval.request(
                    state, requested, policy, around, refuse_undecidable=not command.must_open
                )

            return await self._store.execute(
                approval_stream(command.meta.tenant, command.approval_id),
                evolve=approval.evolve,
                decide=decide,
                meta=command.meta,
                now=now,
            )

        return await self._people.informed_or_not(command.meta.tenant, request)

    async def _requester(self, command: RequestApproval) -> str | None:
        """Return who started the workflow that asks, or else the person whom its input names."""
        if command.step is None:
            return command.requested_by
        starter = await starter_of(self._store, command.meta.tenant, command.step.workflow_id)
        return starter or command.requested_by

    async def approve_approval(self, command: ApproveApproval) -> Committed:
        """Count a vote for it."""
        return await self._do(command, lambda state, around: approval.approve(state, command.ballot, around))

    async def reject_approval(self, command: RejectApproval) -> Committed:
        """Count a vote against it."""
        return await self._do(command, lambda state, around: approval.reject(state, command.ballot, around))

    async def revise_approval(self, command: ReviseApproval) -> Committed:
        """Store changed facts."""
        terms = self._terms.of(command.meta.tenant)
        return await self._do(
            command,
            lambda state, around: approval.revise(
                state,
                by=command.by,
                may_do_all=command.may_do_all,
                amount=command.amount,
                risk_score=command.risk_score,
                subject=command.subject,
                payload=command.payload,
                reason=command.reason,
                policy_for=terms.by_rule,
                around=around,
            ),
        )

    async def withdraw_approval(self, command: WithdrawApproval) -> Committed:
        """Stop asking for a decision."""
        return await self._do(
            command,
            lambda state, around: approval.withdraw(
                state, by=command.by, reason=command.reason, around=around, may_do_all=command.may_do_all
            ),
        )

    async def reassign_approval(self, command: ReassignApproval) -> Committed:
        """Let somebody else decide."""
        return await self._do(
            command,
            lambda state, around: approval.reassign(
                state,
                command.ballot,
                around,
                to=command.to,
                reason=command.reason,
                may_do_all=command.may_do_all,
            ),
        )

    async def claim_approval(self, command: ClaimApproval) -> Committed:
        """Note who takes care of it."""
        return await self._do(command, lambda state, around: approval.claim(state, command.ballot, around))

    async def release_approval(self, command: ReleaseApproval) -> Committed:
        """Note that nobody takes care of it."""
        return await self._do(
            command,
            lambda state, around: approval.release(state, command.by, around, may_do_all=command.may_do_all),
        )

    async def comment_on_approval(self, command: CommentOnApproval) -> Committed:
        """Store a comment."""
        return await self._do(
            command,
            lambda state, around: approval.comment(state, by=command.by, text=command.text, around=around),
        )

    async def expire_approval(self, command: ExpireApproval) -> Committed:
        """End it, because nobody has decided in time."""
        return await self._do(
            command, lambda state, around: approval.expire(state, now=moment_of(command, around.now))
        )

    async def remind_of_approval(self, command: RemindOfApproval) -> Committed:
        """Remind the people who are asked."""
        return await self._do(
            command,
            lambda state, around: approval.remind(
                state, round=command.round, stage=command.stage, number=command.number, now=around.now
            ),
        )

    async def escalate_approval(self, command: EscalateApproval) -> Committed:
        """Ask further people."""
        return await self._do(
            command,
            lambda state, around: approval.escalate(
                state, round=command.round, stage=command.stage, number=command.number, around=around
            ),
        )

    async def look_again_at_approval(self, command: LookAgainAtApproval) -> Committed:
        """Check whether enough people could still approve."""
        return await self._do(command, approval.look_again)

    async def _do(self, command: ApprovalCommand, decide: Decide) -> Committed:
        now = self._clock.now()
        terms = self._terms.of(command.meta.tenant)

        async def do(people: People) -> Committed:
            around = Circumstances(now, people, terms.calendar)

            def decide_existing(state: Approval | None) -> tuple[Event, ...]:
                if state is None:
                    raise ApprovalNotFound(f"there is no approval {command.approval_id}")
                return decide(state, around)

            return await self._store.execute(
                approval_stream(command.meta.tenant, command.approval_id),
                evolve=approval.evolve,
                decide=decide_existing,
                meta=command.meta,
                now=now,
                expected_version=command.expected_version,
                keeps_correlation=command.names_no_correlation,
            )

        return await self._people.informed(command.meta.tenant, do)


def _policy(command: RequestApproval, terms: Terms, requested: ApprovalRequested, now: datetime) -> Policy:
    """Return the policy that a request chooses, or the one of the tenant's rules.

    Raises:
        NotAllowed: the request may not choose it.
        BadInput: there is no such policy; with whatever else is wrong with the request.
    """
    if command.policy is None:
        return terms.by_rule(command.amount, command.risk_score)
    try:
        return terms.asked_for(command.policy)
    except BadInput as unknown:
        others = approval.faults_of(requested.payload, requested.due_at, now)
        raise BadInput.together([unknown, *others]) from None


def _requested(
    command: RequestApproval, terms: Terms, requester: str | None, now: datetime
) -> ApprovalRequested:
    return ApprovalRequested(
        approval_id=command.approval_id,
        opportunity_id=command.opportunity_id,
        risk_score=command.risk_score,
        amount=command.amount,
        requested_at=command.requested_at or now,
        owner_id=command.owner_id,
        approver_id=command.approver_id,
        recipient_id=command.recipient_id,
        correlation_id=command.correlation_id,
        approval_url=command.approval_url or terms.url_of(command.approval_id),
        step=command.step,
        requested_by=requester,
        subject=command.subject,
        payload=command.payload,
        own_policy=command.policy is not None,
        due_at=command.due_at,
    )
