"""The checker finds nothing in good evidence, and in evidence that was spoilt what was spoilt."""

import ast
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import anyio
import msgspec
import pytest

import tests.chaos.campaign.checks as checks
from tests.chaos.campaign.checks import Case, check
from tests.chaos.campaign.evidence import Asked, Seen, Sent
from tests.chaos.campaign.peace import ANNA, BERT, live_in_peace
from tests.chaos.campaign.stored import StoredDocument, StoredEvent

Spoil = Callable[[Case], None]


@pytest.fixture(scope="module")
def peace(tmp_path_factory: pytest.TempPathFactory) -> Case:
    async def live() -> Case:
        return await live_in_peace(tmp_path_factory.mktemp("peace"))

    return anyio.run(live)


@pytest.fixture
def case(peace: Case) -> Case:
    """Good evidence, to be spoilt."""
    return Case(**{name: copy.deepcopy(getattr(peace, name)) for name in Case.__struct_fields__})


def event(case: Case, topic: str, tenant: str = "") -> StoredEvent:
    """The last event of a topic."""
    return next(each for each in reversed(case.events) if each.topic == topic and tenant in each.stream)


def seen(case: Case, message_type: str) -> Seen:
    """The first message of a type."""
    return next(each for each in case.seen if each.body["type"] == message_type)


def asked(case: Case, kind: str) -> Asked:
    """The first request of a kind."""
    return next(each for each in case.asked if each.kind == kind)


def sent(case: Case, message_type: str) -> Sent:
    """The first message of a neighbour of a type."""
    return next(each for each in case.sent if each.type == message_type)


def document(case: Case, container: str) -> StoredDocument:
    """The first document of a container."""
    return next(each for each in case.documents if each.container == container)


def stream_copied(case: Case, stream: str, to: str) -> None:
    """A stream again, under another name."""
    copies = [copy.deepcopy(each) for each in case.events if each.stream == stream]
    for number, each in enumerate(copies):
        each.stream, each.position = to, case.events[-1].position + 1 + number
    case.events += copies


def a_message_never_went_out(case: Case) -> None:
    case.seen.remove(seen(case, "workflow.step.completed"))


def a_message_went_out_under_another_id_too(case: Case) -> None:
    other = copy.deepcopy(seen(case, "hitl.approval.completed"))
    other.body["id"] = other.message_id = str(uuid4())
    other.number = len(case.seen)
    case.seen.append(other)


def a_message_stands_for_nothing(case: Case) -> None:
    seen(case, "hitl.approval.completed").body["data"]["decidedBy"] = "nobody"


def one_id_has_two_bodies(case: Case) -> None:
    other = copy.deepcopy(seen(case, "workflow.forecast.requested"))
    other.body["metadata"] = {"userId": str(uuid4())}
    case.seen.append(other)


def messages_of_an_aggregate_change_places(case: Case) -> None:
    started, later = seen(case, "workflow.opportunity.analysis.started"), case.seen[-1]
    started.number, later.number = later.number, started.number


def a_message_says_another_tenant(case: Case) -> None:
    seen(case, "hitl.approval.completed").body["tenantId"] = BERT


def a_message_is_routed_elsewhere(case: Case) -> None:
    seen(case, "hitl.approval.completed").routing_key = "hitl.completed"


def a_trigger_is_not_in_the_workers_queue(case: Case) -> None:
    case.job_queue.clear()


def a_message_was_left_in_the_own_queue(case: Case) -> None:
    case.own_queue.append("x")


def a_message_was_parked(case: Case) -> None:
    case.dead_letters.append("x")


def an_acknowledged_decision_is_gone(case: Case) -> None:
    case.events.remove(event(case, "approval.approved"))


def an_acknowledged_trigger_is_gone(case: Case) -> None:
    case.events.remove(event(case, "job.fired"))


def an_acknowledged_workflow_is_gone(case: Case) -> None:
    stream = f"{BERT}/workflow/{(asked(case, 'start').answer or {})['workflowId']}"
    case.events = [each for each in case.events if each.stream != stream]


def a_retry_is_gone(case: Case) -> None:
    case.events.remove(event(case, "workflow.retried"))


def an_event_in_the_middle_is_gone(case: Case) -> None:
    case.events.remove(event(case, "workflow.step_dispatched"))


def an_event_is_there_twice(case: Case) -> None:
    case.events.append(msgspec.structs.replace(case.events[-1], position=case.events[-1].position + 1))


def ids_go_back(case: Case) -> None:
    case.events[3].position, case.events[4].position = case.events[4].position, case.events[3].position


def a_request_counted_twice(case: Case) -> None:
    approval = event(case, "approval.requested", BERT).stream
    stream_copied(case, approval, f"{BERT}/approval/{uuid4()}")


def who_was_told_no_left_an_event(case: Case) -> None:
    asked(case, "ask").status = 400


def an_unknown_request_counted_twice(case: Case) -> None:
    asked(case, "start").status = None
    stream = event(case, "workflow.retried").stream
    stream_copied(case, stream, f"{BERT}/workflow/{uuid4()}")


def somebody_else_has_decided(case: Case) -> None:
    event(case, "approval.approved").data["decided_by"] = "eve"


def who_was_refused_was_told_another_name(case: Case) -> None:
    answer = asked(case, "reject").answer
    assert answer is not None
    answer["error"]["details"]["decidedBy"] = "eve"


def an_answer_names_another_id(case: Case) -> None:
    answer = asked(case, "retry").answer
    assert answer is not None
    answer["executionId"] = str(uuid4())


def another_tenants_approval_was_shown(case: Case) -> None:
    asked(case, "foreign").status = 200


def a_tenant_triggered_a_job(case: Case) -> None:
    asked(case, "forbidden").status = 202


def a_list_showed_another_tenants(case: Case) -> None:
    approval = event(case, "approval.requested", ANNA).data["approval_id"]
    shown = {"approvals": [{"id": approval, "tenantId": BERT}]}
    asked(case, "list").answer = shown


def what_was_there_was_answered_404(case: Case) -> None:
    asked(case, "read").status = 404


def a_confirmed_message_had_no_effect(case: Case) -> None:
    cause = sent(case, "hitl.approval.requested").id
    case.events = [each for each in case.events if each.meta.get("causation_id") != cause]


def a_repeated_message_had_its_effect_twice(case: Case) -> None:
    cause = sent(case, "integration.opportunity.updated").id
    stream = next(
        each.stream
        for each in case.events
        if each.meta.get("causation_id") == cause and each.topic == "workflow.started"
    )
    stream_copied(case, stream, f"{ANNA}/workflow/{uuid4()}")


def a_message_had_its_effect_at_another_tenant(case: Case) -> None:
    sent(case, "hitl.approval.requested").tenant = BERT


def a_message_for_others_had_an_effect(case: Case) -> None:
    sent(case, "shard.updated").data["shardTypeName"] = "note"


def a_message_was_misread(case: Case) -> None:
    sent(case, "hitl.approval.requested").data["amount"] = 6


def a_result_was_misread(case: Case) -> None:
    sent(case, "forecast.completed").data["revenueForecast"] = 2


def a_reply_ended_no_step(case: Case) -> None:
    cause = sent(case, "risk.scoring.completed").id
    case.events = [each for each in case.events if each.meta.get("causation_id") != cause]


def a_confirmed_message_was_not_on_the_wire(case: Case) -> None:
    case.seen.remove(seen(case, "shard.updated"))


def an_event_names_another_tenant(case: Case) -> None:
    event(case, "workflow.completed").meta["tenant"] = str(uuid4())


def an_event_is_about_something_else(case: Case) -> None:
    event(case, "workflow.completed").data["workflow_id"] = str(uuid4())


def a_step_ended_twice(case: Case) -> None:
    end = event(case, "workflow.step_completed")
    last = [each for each in case.events if each.stream == end.stream][-1]
    again = copy.deepcopy(end)
    again.version, again.position = last.version + 1, case.events[-1].position + 1
    case.events.append(again)


def a_workflow_never_ended(case: Case) -> None:
    case.events.remove(event(case, "workflow.completed"))


def a_run_was_never_closed(case: Case) -> None:
    case.events.remove(event(case, "job.run_completed"))


def a_document_is_behind(case: Case) -> None:
    document(case, "workflow_workflows").body["status"] = "running"


def a_document_is_missing(case: Case) -> None:
    case.documents.remove(document(case, "workflow_executions"))


def a_document_of_nothing(case: Case) -> None:
    case.documents.append(msgspec.structs.replace(document(case, "workflow_steps"), id="x"))


def a_document_is_in_another_partition(case: Case) -> None:
    case.documents[0] = msgspec.structs.replace(case.documents[0], tenant=str(uuid4()))


def a_document_is_another_tenants_inside(case: Case) -> None:
    document(case, "hitl_approvals").body["tenantId"] = BERT


def a_rebuild_gives_another_document(case: Case) -> None:
    case.rebuilt[0] = msgspec.structs.replace(case.rebuilt[0], exact="{}")


def a_rebuild_makes_no_document(case: Case) -> None:
    case.rebuilt.pop()


def a_minute_has_no_firing(case: Case) -> None:
    case.minutely, case.began, case.ended = ("propagation",), 59.0, 61.0


SPOILT: dict[Spoil, tuple[str, str]] = {
    a_message_never_went_out: ("lost", "never went out"),
    a_message_went_out_under_another_id_too: ("doubled", "under 2 ids"),
    a_message_stands_for_nothing: ("invented", "stands for no event"),
    one_id_has_two_bodies: ("differs", "messages that differ"),
    messages_of_an_aggregate_change_places: ("disordered", "in another order"),
    a_message_says_another_tenant: ("crossed", f"says {BERT} of {ANNA}'s"),
    a_message_is_routed_elsewhere: ("odd", "under hitl.completed"),
    a_trigger_is_not_in_the_workers_queue: ("lost", "not in the queue of the job's worker"),
    a_message_was_left_in_the_own_queue: ("stuck", "left in the own queue"),
    a_message_was_parked: ("lost", "was parked"),
    an_acknowledged_decision_is_gone: ("lost", "is not decided"),
    an_acknowledged_trigger_is_gone: ("lost", "trigger at /jobs/outcome-sync/trigger was told yes"),
    an_acknowledged_workflow_is_gone: ("lost", "start at /workflows was told yes"),
    a_retry_is_gone: ("lost", "was told yes and is not in the log"),
    an_event_in_the_middle_is_gone: ("lost", "its versions are"),
    an_event_is_there_twice: ("doubled", "its versions are"),
    ids_go_back: ("disordered", "ids do not increase"),
    a_request_counted_twice: ("doubled", "is in the log 2 times"),
    who_was_told_no_left_an_event: ("invented", "was told no (400)"),
    an_unknown_request_counted_twice: ("doubled", "is in the log 2 times"),
    somebody_else_has_decided: ("untrue", "was told yes to"),
    who_was_refused_was_told_another_name: ("untrue", "was told that eve has decided"),
    an_answer_names_another_id: ("untrue", "was told"),
    another_tenants_approval_was_shown: ("crossed", "was answered 200, not 404"),
    a_tenant_triggered_a_job: ("crossed", "was answered 202, not 403"),
    a_list_showed_another_tenants: ("crossed", f"which is {ANNA}'s"),
    what_was_there_was_answered_404: ("lost", "was answered 404"),
    a_confirmed_message_had_no_effect: ("lost", "was confirmed and had no effect"),
    a_repeated_message_had_its_effect_twice: ("doubled", "had its effect 2 times"),
    a_message_had_its_effect_at_another_tenant: ("crossed", f"of {BERT} is in {ANNA}"),
    a_message_for_others_had_an_effect: ("invented", "is not for this service"),
    a_message_was_misread: ("untrue", "said amount 6"),
    a_result_was_misread: ("untrue", "said revenueForecast 2"),
    a_reply_ended_no_step: ("lost", "its step has never ended"),
    a_confirmed_message_was_not_on_the_wire: ("odd", "not on the wire"),
    an_event_names_another_tenant: ("crossed", "holds an event of"),
    an_event_is_about_something_else: ("crossed", "holds an event about"),
    a_step_ended_twice: ("doubled", "ended"),
    a_workflow_never_ended: ("stuck", "it runs"),
    a_run_was_never_closed: ("stuck", "runs that nobody closed"),
    a_minute_has_no_firing: ("lost", "it has not fired at 1970-01-01T00:01:00+00:00"),
    a_document_is_behind: ("differs", "says running, the log completed"),
    a_document_is_missing: ("lost", "no document in workflow_executions"),
    a_document_of_nothing: ("invented", "a document of nothing"),
    a_document_is_in_another_partition: ("crossed", "holds a document of"),
    a_document_is_another_tenants_inside: ("crossed", "holds a document of"),
    a_rebuild_gives_another_document: ("differs", "a rebuild"),
    a_rebuild_makes_no_document: ("differs", "no rebuild makes it"),
}


def test_it_finds_nothing_in_the_evidence_of_peace(case: Case) -> None:
    assert check(case) == []


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_it_finds_what_was_spoilt(case: Case, spoil: Spoil) -> None:
    kind, words = SPOILT[spoil]
    spoil(case)
    found = check(case)
    assert [each for each in found if each.kind == kind and words in each.what], found


def test_what_a_client_does_not_know_may_be_or_not_be(case: Case) -> None:
    asked(case, "start").status = None
    asked(case, "retry").status = 503
    never = msgspec.structs.replace(asked(case, "ask"), mark=str(uuid4()), status=None, answer=None)
    case.asked.append(never)
    assert check(case) == []


def test_a_message_may_be_repeated_under_its_id(case: Case) -> None:
    case.seen += [msgspec.structs.replace(each, number=len(case.seen)) for each in case.seen]
    assert check(case) == []


def imported_by(path: Path) -> Iterator[str]:
    """The modules that a module imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def test_it_is_independent_of_the_service() -> None:
    folder = Path(str(checks.__file__)).parent
    modules = [*folder.glob("*.py"), folder.parent / "evidence.py", folder.parent / "stored.py"]
    ours = ("domain", "application", "projections", "infrastructure", "interfaces", "config")
    taken = {name for path in modules for name in imported_by(path) if name.split(".")[0] in ours}
    assert taken == set()
