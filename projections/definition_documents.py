"""A workflow definition as the document that it was read from, or would have been.

What is as it would be without being said is left out. How long a step waits is always said: unsaid it depends
on the kind.
"""

from typing import Any

from domain.definition import (
    Announcements,
    Concurrency,
    MapOver,
    Retry,
    StepDefinition,
    Trigger,
    Work,
    WorkflowDefinition,
)
from projections.ports import Json


def definition_document(definition: WorkflowDefinition) -> Json:
    """The document of a definition; what it stands for is the same definition."""
    return {
        "name": definition.name,
        "version": definition.version,
        **_said(
            ("description", definition.description, ""),
            ("needsOpportunity", definition.needs_opportunity, False),
            ("inputSchema", definition.input_schema, None),
            ("deadline", _seconds(definition.deadline_seconds), None),
            ("concurrency", _concurrency(definition.concurrency), {}),
            ("triggers", [_trigger(each) for each in definition.triggers], []),
            ("announcements", _announcements(definition.announcements), {}),
        ),
        "steps": [_step(each) for each in definition.steps],
    }


def _step(step: StepDefinition) -> Json:
    return {
        "stepType": step.step_type,
        **_work(step),
        **_said(
            ("after", list(step.after), []),
            ("critical", step.critical, False),
            ("when", step.when, None),
            ("map", _map(step.map) if step.map else None, None),
            ("compensation", _work(step.compensation) if step.compensation else None, None),
        ),
        "resultKey": step.result_key,
    }


def _work(work: Work) -> Json:
    return {
        "kind": work.kind,
        **_said(
            ("parameters", dict(work.parameters), {}),
            ("input", dict(work.input), {}),
            ("retry", _retry(work.retry), {}),
        ),
        "timeout": "none" if work.timeout_seconds is None else _seconds(work.timeout_seconds),
    }


def _retry(retry: Retry) -> Json:
    usual = Retry()
    return _said(
        ("attempts", retry.attempts, usual.attempts),
        ("delay", _seconds(retry.delay_seconds), _seconds(usual.delay_seconds)),
        ("factor", retry.factor, usual.factor),
        ("maxDelay", _seconds(retry.most_seconds), _seconds(usual.most_seconds)),
        ("jitter", retry.jitter, usual.jitter),
        ("retryable", list(retry.on), list(usual.on)),
    )


def _map(over: MapOver) -> Json:
    usual = MapOver(over=over.over, each=over.each)
    return {
        "over": over.over,
        "each": _work(over.each),
        **_said(("atOnce", over.at_once, usual.at_once), ("tolerate", over.tolerate, usual.tolerate)),
    }


def _concurrency(concurrency: Concurrency) -> Json:
    usual = Concurrency()
    return _said(
        ("policy", concurrency.policy, usual.policy),
        ("key", concurrency.key, usual.key),
        ("debounce", _seconds(concurrency.debounce_seconds), _seconds(usual.debounce_seconds)),
    )


def _trigger(trigger: Trigger) -> Json:
    usual = Trigger(message_type=trigger.message_type)
    return {
        "messageType": trigger.message_type,
        **_said(
            ("filter", trigger.filter, usual.filter),
            ("opportunityId", trigger.opportunity_id, usual.opportunity_id),
            ("input", dict(trigger.input), {}),
        ),
    }


def _announcements(told: Announcements) -> Json:
    return _said(
        ("started", told.started, None), ("completed", told.completed, None), ("failed", told.failed, None)
    )


def _said(*members: tuple[str, Any, Any]) -> Json:
    """The members whose value is another than the usual one."""
    return {name: value for name, value, usual in members if value != usual}


def _seconds(seconds: float | None) -> float | int | None:
    """Whole seconds as JSON writes whole numbers."""
    return int(seconds) if seconds is not None and seconds == int(seconds) else seconds
