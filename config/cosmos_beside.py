"""What a service stores beside a log in Cosmos DB, and under which leases."""

from application.audit.anchoring import Anchoring
from application.outbox import Outbox
from application.policies import (
    approval_timers,
    concurrency,
    job_timers,
    task_leases,
    wait_steps,
    workflow_timers,
)
from application.policies.approval_steps import ApprovalSteps
from application.policies.backfills import Backfills
from application.policies.child_workflows import ChildWorkflows
from application.policies.http_steps import HttpSteps
from application.policies.tasks import TaskSteps
from config.roles import POLICIES, PUBLISHER
from infrastructure.cosmos.beside import Beside
from interfaces.scheduling import watch

SHARES = 8
"""At most so many instances do the same work concurrently. With another number the data would lie
elsewhere."""

BESIDE = Beside(
    followers={
        **dict.fromkeys(
            (
                workflow_timers.WorkflowTimers.name,
                wait_steps.WaitSteps.name,
                ApprovalSteps.name,
                ChildWorkflows.name,
                concurrency.ConcurrencyGroups.name,
                TaskSteps.name,
                task_leases.TaskLeaseTimers.name,
                job_timers.JobTimers.name,
                Backfills.name,
                approval_timers.ApprovalTimers.name,
            ),
            POLICIES,
        ),
        Outbox.name: PUBLISHER,
        HttpSteps.name: PUBLISHER,
        watch.NAME: None,
    },
    kinds={
        *workflow_timers.COMMANDS,
        wait_steps.TIMER_KIND,
        *concurrency.COMMANDS,
        *task_leases.COMMANDS,
        *job_timers.COMMANDS,
        *approval_timers.COMMANDS,
    },
    setter=POLICIES,
    caller=PUBLISHER,
    anchorer=Anchoring.name,
    shares=SHARES,
)
