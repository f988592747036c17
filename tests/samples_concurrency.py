"""One example of every event of concurrency groups, and of workflows that wait for theirs."""

import msgspec

from domain.concurrency import (
    RunEnded,
    RunReplaced,
    Start,
    StartDebounced,
    StartGranted,
    StartQueued,
    StartWithdrawn,
)
from domain.event import Event
from domain.workflow import WorkflowQueued
from tests.builders import CAUSE, CORRELATION, NOW, USER, after

GROUP = "deal-review/0f5bb1f2-6f0c-5d0c-9a51-6f4b5a1c9e10"

START = Start(
    workflow_id="w-1",
    definition="deal-review",
    version=3,
    opportunity_id="opp-1",
    input={"reason": "won"},
    policy="queue",
    explicit=True,
    actor=USER,
    correlation_id=CORRELATION,
    causation_id=CAUSE,
)

_LED_TO = msgspec.structs.replace(START, chain=("deal-import", "deal-review"))


def _starts(start: Start) -> tuple[Event, ...]:
    return (
        StartGranted(group=GROUP, start=start, granted_at=NOW),
        StartQueued(group=GROUP, start=start, queued_at=NOW),
        StartDebounced(group=GROUP, start=start, since=NOW, due_at=after(seconds=30)),
    )


RUNS_FROM_VERSION_1 = _starts(START)
"""Events from before a start had the chain of its causes."""

EVENTS: tuple[Event, ...] = (
    *_starts(_LED_TO),
    StartWithdrawn(group=GROUP, workflow_id="w-1", explicit=True, withdrawn_at=NOW),
    RunReplaced(group=GROUP, workflow_id="w-1", by="w-2", replaced_at=NOW),
    RunEnded(group=GROUP, workflow_id="w-1", ended_at=after(minutes=3)),
    WorkflowQueued(
        workflow_id="w-1",
        opportunity_id="opp-1",
        definition="deal-review",
        definition_version=3,
        execution_id="execution-1",
        queued_at=NOW,
        input={"reason": "won"},
        concurrency_group=GROUP,
    ),
)
