"""What clients were told is in the log: yes once, no never, and what they do not know at most once."""

from collections.abc import Iterator

from tests.chaos.campaign.checks.case import Case, Finding, Kind
from tests.chaos.campaign.evidence import COMMANDS, Asked
from tests.chaos.campaign.stored import StoredEvent

DECISIONS = {"approve": "approval.approved", "reject": "approval.rejected"}
TOPICS = {
    "ask": "approval.requested",
    "start": "workflow.started",
    "retry": "workflow.retried",
    "trigger": "job.fired",
    **DECISIONS,
}


def check(case: Case) -> Iterator[Finding]:
    """Every request that clients sent."""
    for asked in case.asked:
        if asked.kind in COMMANDS:
            yield from _check_command(case, asked)
        elif asked.kind == "read":
            yield from _check_read(case, asked)
        elif asked.kind == "list":
            yield from _check_list(case, asked)
        elif asked.told != "unknown":
            wanted = 404 if asked.kind == "foreign" else 403
            if asked.status != wanted:
                yield _finding("crossed", asked, f"was answered {asked.status}, not {wanted}")
            yield from _check_silence(case, asked)


def _check_command(case: Case, asked: Asked) -> Iterator[Finding]:
    topic = TOPICS[asked.kind]
    events = [event for event in case.by_mark.get(asked.mark, ()) if event.topic == topic]
    if len(events) > 1:
        yield _finding("doubled", asked, f"is in the log {len(events)} times")
    yield from _check_tenant(case, asked, events)
    if asked.told == "no":
        yield from _check_silence(case, asked)
        if asked.kind in DECISIONS and asked.status == 409:
            yield from _check_refusal(case, asked)
    elif asked.told == "yes":
        assert asked.answer is not None
        if asked.answer.get("tenantId", asked.tenant) != asked.tenant:
            yield _finding("crossed", asked, f"was answered with {asked.answer['tenantId']}'s")
        if asked.kind in DECISIONS:
            yield from _check_decision(case, asked)
        elif not events:
            yield _finding("lost", asked, "was told yes and is not in the log")
        else:
            yield from _check_contents(asked, events[0])


def _check_contents(asked: Asked, event: StoredEvent) -> Iterator[Finding]:
    """The event says what was asked for, under the id that was answered."""
    answer, body, data = asked.answer or {}, asked.body or {}, event.data
    pairs: list[tuple[object, object]] = []
    match asked.kind:
        case "ask":
            pairs = [
                (answer["id"], data["approval_id"]),
                (body["opportunityId"], data["opportunity_id"]),
                (body["riskScore"], data["risk_score"]),
                (body["amount"], data["amount"]),
            ]
        case "start":
            pairs = [
                (answer["workflowId"], data["workflow_id"]),
                (body["opportunityId"], data["opportunity_id"]),
            ]
        case "retry":
            pairs = [(asked.target, data["workflow_id"]), (answer["executionId"], data["execution_id"])]
        case "trigger":
            pairs = [
                (asked.target, data["job"]),
                (answer["runId"], data["run_id"]),
                (body["metadata"], data["metadata"]),
            ]
    for said, done in pairs:
        if said != done:
            yield _finding("untrue", asked, f"was told {said}, and the log says {done}")


def _check_decision(case: Case, asked: Asked) -> Iterator[Finding]:
    """There is one decision, and it is this person's. (Saying the same twice is one decision.)"""
    decision = _decision_of(case, asked)
    if decision is None:
        yield _finding("lost", asked, f"was told yes, and {asked.target} is not decided")
        return
    assert asked.body is not None
    said = (DECISIONS[asked.kind], asked.body["decidedBy"])
    done = (decision.topic, decision.data["decided_by"])
    if said != done:
        yield _finding("untrue", asked, f"was told yes to {said}, and the log says {done}")


def _check_refusal(case: Case, asked: Asked) -> Iterator[Finding]:
    """Who was refused was told who has decided."""
    decision = _decision_of(case, asked)
    told = ((asked.answer or {}).get("error", {}).get("details") or {}).get("decidedBy")
    if decision is None or told != decision.data["decided_by"]:
        yield _finding("untrue", asked, f"was told that {told} has decided, and the log says otherwise")


def _decision_of(case: Case, asked: Asked) -> StoredEvent | None:
    events = case.streams.get(f"{asked.tenant}/approval/{asked.target}", [])
    return next((event for event in events if event.topic in DECISIONS.values()), None)


def _check_silence(case: Case, asked: Asked) -> Iterator[Finding]:
    if asked.told == "no" and case.by_mark.get(asked.mark):
        yield _finding("invented", asked, f"was told no ({asked.status}) and left an event")


def _check_tenant(case: Case, asked: Asked, events: list[StoredEvent]) -> Iterator[Finding]:
    for event in events:
        if not event.stream.startswith(f"{asked.tenant}/"):
            yield _finding("crossed", asked, f"is in {event.stream}")


def _check_read(case: Case, asked: Asked) -> Iterator[Finding]:
    """A client reads only what it was told to be there."""
    if asked.status == 404:
        yield _finding("lost", asked, f"{asked.target} was told to be there and was answered 404")
    elif asked.told == "no":
        yield _finding("odd", asked, f"was answered {asked.status}")
    elif asked.told == "yes":
        assert asked.answer is not None
        if asked.answer.get("tenantId") != asked.tenant:
            yield _finding("crossed", asked, f"was shown {asked.answer.get('tenantId')}'s")


def _check_list(case: Case, asked: Asked) -> Iterator[Finding]:
    if asked.told == "no":
        yield _finding("odd", asked, f"was answered {asked.status}")
    if asked.told != "yes":
        return
    assert asked.answer is not None
    for name in ("approvals", "workflows", "steps", "executions", "runs"):
        for shown in asked.answer.get(name, ()):
            stream_id = shown.get("job") or shown.get("workflowId") or shown["id"]
            owner = case.owners.get(stream_id)
            if owner != asked.tenant or shown["tenantId"] != asked.tenant:
                yield _finding("crossed", asked, f"was shown {stream_id}, which is {owner}'s")


def _finding(kind: Kind, asked: Asked, what: str) -> Finding:
    return Finding(kind=kind, about=asked.mark, what=f"{asked.kind} at {asked.path} {what}")
