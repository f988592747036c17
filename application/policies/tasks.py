"""Steps of kind ``task``: each dispatch offers a task, and the worker's report becomes the answer."""

from collections.abc import Sequence

from application.command import Command
from application.policies.reaction import because_of
from application.task_commands import OfferTask, RevokeTask
from application.workflow_commands import CompleteStep, FailStep
from domain.errors import Refusal
from domain.event import Recorded
from domain.interest import Interest
from domain.task import TaskCompleted, TaskFailed, task_id_of
from domain.workflow import StepCancelled, StepCompleted, StepDispatched, StepFailed
from domain.workflow.step import TASK

DEFAULT_QUEUE = "default"


class TaskSteps:
    """Leads from a step to its task and back."""

    name = "task-steps"
    wants = (
        Interest(StepDispatched, where=lambda event: event.kind == TASK and not event.void)
        | Interest(StepCancelled | StepCompleted | StepFailed, where=lambda event: event.kind == TASK)
        | Interest(TaskCompleted | TaskFailed)
    )
    """Steps of this kind, and the reports of workers."""

    def commands(self, recorded: Recorded) -> Sequence[Command]:
        """Offer a task, withdraw it, or pass on the worker's report.

        If a step has ended in another way than by its task (by a person, by its deadline), the worker is
        released.
        """
        match event := recorded.event:
            case StepDispatched():
                return [self._offer(recorded, event)]
            case StepCancelled():
                return [self._revoke(recorded, event, "the step was cancelled")]
            case StepFailed() if not self._came_by_its_task(recorded):
                return [self._revoke(recorded, event, f"the step failed: {event.reason}")]
            case StepCompleted() if not self._came_by_its_task(recorded):
                return [self._revoke(recorded, event, "the step was completed in another way")]
            case TaskCompleted():
                return [self._complete(recorded, event)]
            case TaskFailed():
                return [self._fail(recorded, event)]
        return []

    def after_refusal(self, recorded: Recorded, refusal: Refusal) -> Sequence[Command]:
        """Ignore a workflow or a task that is gone."""
        return []

    def _came_by_its_task(self, recorded: Recorded) -> bool:
        return recorded.meta.actor == f"system:{self.name}"

    def _offer(self, recorded: Recorded, event: StepDispatched) -> OfferTask:
        return OfferTask(
            meta=because_of(recorded, self.name),
            task_id=task_id_of(event.step_id, event.attempt),
            queue=str(event.parameters.get("queue", DEFAULT_QUEUE)),
            input=event.input,
            workflow_id=event.workflow_id,
            step_id=event.step_id,
            step_type=event.step_type,
            attempt=event.attempt,
            deadline_at=event.deadline_at,
        )

    def _revoke(
        self, recorded: Recorded, event: StepCancelled | StepFailed | StepCompleted, reason: str
    ) -> RevokeTask:
        return RevokeTask(
            meta=because_of(recorded, self.name),
            task_id=task_id_of(event.step_id, event.attempt),
            reason=reason,
        )

    def _complete(self, recorded: Recorded, event: TaskCompleted) -> CompleteStep:
        return CompleteStep(
            meta=because_of(recorded, self.name),
            workflow_id=event.workflow_id,
            step=event.step_id,
            result=event.output,
            attempt=event.attempt,
        )

    def _fail(self, recorded: Recorded, event: TaskFailed) -> FailStep:
        return FailStep(
            meta=because_of(recorded, self.name),
            workflow_id=event.workflow_id,
            step=event.step_id,
            error=event.error,
            reason="reported" if event.retryable else "rejected",
            attempt=event.attempt,
        )
