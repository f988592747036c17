"""Messages that a definition names as replies to its requests."""

from typing import Any

import msgspec

from domain import workflow
from domain.definition import Retry, StepDefinition, Work
from domain.workflow import PlatformAnswer, StepFailed
from tests.domain.plans import Run, map_step, step

REPLIES = [
    {"type": "credit.check.completed", "result": {"score": "data.report.score"}},
    {"type": "credit.check.failed", "failed": True},
    {"type": "credit.check.noted"},
]
CHECK = {"check": "data.about.check"}
ABOUT_ITS_ITEM = Work(
    input={"check": "item"},
    parameters={"request": "credit.check.requested", "replies": REPLIES, "correlation": CHECK},
)


def asking(name: str) -> StepDefinition:
    return step(name, parameters={"request": "credit.check.requested", "replies": REPLIES})


def reply(run: Run, message_type: str, **data: Any) -> Any:
    return run.ordered(workflow.take_reply, message_type=message_type, data={"workflowId": "w-1", **data})


def test_a_reply_completes_its_step_with_what_the_definition_takes_of_it() -> None:
    run = Run.of(asking("credit"))
    run = run.so(reply(run, "credit.check.completed", report={"score": 7, "secret": 1}))
    assert run.state.results == {"credit": {"score": 7}}


def test_a_reply_without_a_rule_is_the_result_as_it_is() -> None:
    run = Run.of(asking("credit"))
    run = run.so(reply(run, "credit.check.noted", x=1))
    assert run.state.results == {"credit": {"workflowId": "w-1", "x": 1}}


def test_a_reply_may_be_the_report_of_a_failure() -> None:
    for error, told in (
        (None, "the service gave no reason"),
        ("no data", "no data"),
        ({"message": "m"}, "m"),
    ):
        failed = reply(Run.of(asking("credit")), "credit.check.failed", error=error).happened()[0]
        assert isinstance(failed, StepFailed)
        assert (failed.error, failed.reason) == (told, "reported")


def test_a_message_that_nobody_waits_for_changes_nothing() -> None:
    run = Run.of(asking("credit"), step("other"))
    reply(run, "credit.check.unknown").then_nothing()
    reply(run, "credit.check.completed", stepId="another").then_nothing()
    reply(run, "credit.check.completed", stepId=run.state.steps["other"].step_id).then_nothing()
    done = run.so(reply(run, "credit.check.completed", report={}))
    reply(done, "credit.check.completed", report={}).then_nothing()


def test_a_step_is_told_by_its_id_where_several_wait_for_the_same() -> None:
    run = Run.of(asking("first"), asking("second"))
    second = run.state.steps["second"].step_id
    run = run.so(reply(run, "credit.check.noted", stepId=second))
    assert run.statuses == {"first": "running", "second": "completed"}
    assert run.so(reply(run, "credit.check.noted")).state.status == "completed"


def test_the_id_of_a_step_is_taken_in_either_case_and_an_empty_one_says_nothing() -> None:
    run = Run.of(asking("first"), asking("second"))
    second = run.state.steps["second"].step_id.upper()
    run = run.so(reply(run, "credit.check.noted", stepId=second))
    assert run.statuses == {"first": "running", "second": "completed"}
    assert run.so(reply(run, "credit.check.noted", stepId="")).state.status == "completed"


def test_an_item_is_answered_by_its_id_alone() -> None:
    each = Work(parameters={"request": "credit.check.requested", "replies": REPLIES})
    run = Run.of(map_step("checks", each=each), input={"deals": [1, 2]})
    reply(run, "credit.check.noted").then_nothing()
    run = run.so(reply(run, "credit.check.noted", stepId=run.state.steps["checks[1]"].step_id))
    assert run.under_way == ["checks", "checks[0]"]


def test_a_message_that_came_before_somebody_waited_for_it_has_ended_nothing() -> None:
    signed = step("signed", kind="wait", after=["credit"], parameters={"event": "contract.was.signed"})
    run = Run.of(asking("credit"), signed)
    reply(run, "contract.was.signed").then_nothing()
    run = run.so(reply(run, "credit.check.noted"))
    assert run.statuses == {"credit": "completed", "signed": "running"}


def test_a_message_that_a_step_waits_for_ends_the_wait() -> None:
    run = Run.of(step("signed", kind="wait", parameters={"event": "contract.was.signed"}))
    reply(run, "contract.was.torn").then_nothing()
    run = run.so(reply(run, "contract.was.signed", by="ann"))
    assert run.state.results == {"signed": {"workflowId": "w-1", "by": "ann"}}


def asking_about(name: str) -> StepDefinition:
    return step(
        name,
        input={"check": f"input.{name}"},
        parameters={"request": "credit.check.requested", "replies": REPLIES, "correlation": CHECK},
    )


def test_replies_to_several_steps_are_told_apart_by_what_the_definition_says() -> None:
    run = Run.of(asking_about("first"), asking_about("second"), input={"first": 1, "second": {"n": 2}})
    reply(run, "credit.check.noted").then_nothing()
    reply(run, "credit.check.noted", about={"check": 3}).then_nothing()
    run = run.so(reply(run, "credit.check.noted", about={"check": {"n": 2}}))
    assert set(run.state.results) == {"second"}
    reply(run, "credit.check.noted", about={"check": {"n": 2}}).then_nothing()
    run = run.so(reply(run, "credit.check.failed", about={"check": 1}))
    assert run.state.steps["first"].status == "failed"


def test_a_number_is_the_same_however_it_is_written() -> None:
    run = Run.of(asking_about("first"), asking_about("second"), input={"first": 7, "second": {"n": [8.0]}})
    run = run.so(reply(run, "credit.check.noted", about={"check": 7.0}))
    assert run.so(reply(run, "credit.check.noted", about={"check": {"n": [8]}})).state.status == "completed"
    reply(run, "credit.check.noted", about={"check": {"n": [8.5]}}).then_nothing()


def test_a_step_that_is_tried_again_still_takes_its_reply() -> None:
    run = Run.of(
        msgspec.structs.replace(asking_about("first"), retry=Retry(attempts=2, delay_seconds=1)),
        asking_about("second"),
        input={"first": 1, "second": 2},
    )
    run = run.so(reply(run, "credit.check.failed", about={"check": 1}))
    assert run.state.steps["first"].status == "retrying"
    run = run.so(reply(run, "credit.check.noted", about={"check": 1}))
    assert set(run.state.results) == {"first"}


def test_an_item_is_told_by_its_element() -> None:
    run = Run.of(map_step("all", over="input.list", each=ABOUT_ITS_ITEM), input={"list": ["a", "b", "c"]})
    run = run.so(reply(run, "credit.check.noted", about={"check": "b"}, rate=2))
    assert run.state.steps["all[1]"].status == "completed"
    assert [run.state.steps[f"all[{number}]"].status for number in (0, 2)] == ["running", "running"]
    reply(run, "credit.check.noted", rate=2).then_nothing()


def test_a_step_that_asks_about_something_else_by_now_takes_no_answer_to_what_it_asked_before() -> None:
    ask = msgspec.structs.replace(asking_about("first"), input={"check": "input.n"}, critical=True)
    run = Run.of(ask, input={"n": "A"}).failed("first", reason="timed_out")
    run = run.so(run.ordered(workflow.retry, input={"n": "B"}))
    reply(run, "credit.check.noted", about={"check": "A"}).then_nothing()
    run = run.so(reply(run, "credit.check.noted", about={"check": "B"}))
    assert run.state.status == "completed"


def test_items_that_ask_the_same_take_an_answer_each() -> None:
    run = Run.of(map_step("all", over="input.list", each=ABOUT_ITS_ITEM), input={"list": ["a", "b", "a"]})
    run = run.so(reply(run, "credit.check.noted", about={"check": "a"}, rate=1))
    assert run.under_way == ["all", "all[1]", "all[2]"]
    run = run.so(reply(run, "credit.check.noted", about={"check": "a"}, rate=2))
    assert run.under_way == ["all", "all[1]"]
    reply(run, "credit.check.noted", about={"check": "a"}, rate=3).then_nothing()


def test_of_items_that_ask_the_same_one_whose_next_try_is_awaited_comes_after_those_that_are_asked() -> None:
    patient = msgspec.structs.replace(ABOUT_ITS_ITEM, retry=Retry(attempts=2, delay_seconds=1))
    run = Run.of(map_step("all", over="input.list", each=patient), input={"list": ["a", "a"]})
    run = run.so(reply(run, "credit.check.failed", about={"check": "a"}))
    run = run.so(reply(run, "credit.check.noted", about={"check": "a"}))
    assert [run.status(f"all[{number}]") for number in (0, 1)] == ["retrying", "completed"]


def test_who_expects_what_is_kept_for_those_alone_that_a_reply_may_be_for() -> None:
    """Else an answer among ten thousand equal items would look at all before it."""
    asking = map_step("all", over="input.list", at_once=2, each=ABOUT_ITS_ITEM)
    run = Run.of(asking, input={"list": ["a"] * 9})
    for number in range(8):
        run = run.so(reply(run, "credit.check.noted", about={"check": "a"}))
        assert list(run.state.expected.values()) == [
            tuple(f"all[{each}]" for each in range(number + 1, min(number + 3, 9)))
        ]
    run = run.so(run.ordered(workflow.cancel, reason="off"))
    assert not run.state.expected


FORECAST = PlatformAnswer(step_type="forecast", result={"confidence": 1})
FAILED_FORECAST = PlatformAnswer(step_type="forecast", error="no data")


def forecast(run: Run, answer: PlatformAnswer = FORECAST, **data: Any) -> Any:
    return run.ordered(workflow.take_reply, message_type="forecast.completed", data=data, answer=answer)


def test_an_answer_of_the_contract_ends_the_step_that_is_called_so() -> None:
    run = Run.of(step("forecast"))
    assert run.so(forecast(run)).state.results == {"forecast": {"confidence": 1}}
    (failed, *_) = forecast(run, FAILED_FORECAST).happened()
    assert (failed.step_type, failed.error, failed.reason) == ("forecast", "no data", "reported")


def test_what_others_decide_is_ended_by_no_answer_of_the_contract_whatever_it_is_called() -> None:
    for kind in ("approval", "task", "http", "workflow"):
        run = Run.of(step("forecast", kind=kind))
        forecast(run).then_nothing()
        forecast(run, FAILED_FORECAST).then_nothing()
    called = Run.of(step("forecast", kind="http", parameters={"accepted": True}))
    assert called.so(forecast(called)).statuses == {"forecast": "completed"}


def test_replies_that_a_definition_names_go_before_what_the_contract_knows() -> None:
    named = {"request": "a.b", "replies": [{"type": "forecast.completed", "result": {"of": "data.of"}}]}
    run = Run.of(step("forecast", parameters=named), step("other", parameters=named))
    run = run.so(forecast(run, of="the first"))
    assert run.state.results == {"forecast": {"of": "the first"}}
    elsewhere = Run.of(step("forecast", kind="approval"), step("asked", parameters=named))
    assert elsewhere.so(forecast(elsewhere, of=7)).state.results == {"asked": {"of": 7}}
    asking_else = Run.of(step("forecast", parameters={"request": "a.b", "replies": [{"type": "b.c"}]}))
    forecast(asking_else).then_nothing()


def test_an_answer_that_names_another_step_is_for_that_one_alone() -> None:
    run = Run.of(step("forecast"), step("other", parameters={"request": "a.b", "replies": REPLIES}))
    forecast(run, stepId=run.state.steps["other"].step_id).then_nothing()
    forecast(run, stepId="").and_so()
    mine = run.state.steps["forecast"].step_id.upper()
    assert run.so(forecast(run, stepId=mine)).statuses == {"forecast": "completed", "other": "running"}
