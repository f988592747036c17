"""``workflow_job_runs``: one document a run, that is, what came of a firing."""

from collections.abc import Mapping, Sequence

from domain.event import Event, Recorded
from domain.job import JobFired, JobRunCompleted, JobRunFailed
from domain.values import timestamp
from projections.ports import Container, Json
from projections.projection import existing


class JobRuns:
    """The fold of ``workflow_job_runs``."""

    def __init__(self, name: str = "workflow_job_runs") -> None:
        self.container = Container(name, sort_field="scheduledAt", filter_fields=("job", "status"))

    def reads(self, event: Event) -> Sequence[str]:
        """The run that an event is about."""
        match event:
            case JobFired() | JobRunCompleted() | JobRunFailed():
                return [event.run_id]
        return ()

    def apply(self, documents: Mapping[str, Json], recorded: Recorded) -> Mapping[str, Json]:
        """Follow the run."""
        match event := recorded.event:
            case JobFired():
                return {event.run_id: _fired(event, recorded)}
            case JobRunCompleted():
                return {
                    event.run_id: existing(documents, event.run_id)
                    | {"status": "completed", "completedAt": timestamp(event.completed_at)}
                }
            case JobRunFailed():
                return {
                    event.run_id: existing(documents, event.run_id)
                    | {"status": "failed", "failedAt": timestamp(event.failed_at), "error": event.error}
                }
        return {}


def _fired(event: JobFired, recorded: Recorded) -> Json:
    run: Json = {
        "id": event.run_id,
        "runId": event.run_id,
        "tenantId": recorded.meta.tenant,
        "job": event.job,
        "status": "scheduled",
        "triggeredBy": event.triggered_by,
        "actor": recorded.meta.actor,
        "metadata": event.metadata,
        "scheduledAt": timestamp(event.fired_at),
    }
    if event.nominal_at is not None:
        run["nominalTime"] = timestamp(event.nominal_at)
    return run
