"""BatchJob: the firings of one scheduled job and what came of each.

``policy`` is what the settings say of it, ``events`` is what happens, ``state`` what the rules know of it;
``firing``, ``reports`` and ``pausing`` are the commands.
"""

from domain.job.events import (
    JobBackfillCancelled,
    JobEvent,
    JobFired,
    JobPaused,
    JobReportUnmatched,
    JobResumed,
    JobRunCompleted,
    JobRunFailed,
    JobRunMissed,
    JobRunPublished,
    JobRunScheduled,
    JobRunSkipped,
    JobRunsMissed,
    JobRunTimedOut,
    TriggeredBy,
    job_stream,
    retry_id,
    run_id,
)
from domain.job.firing import MetadataLeftOut, fire, miss, publish, release, trigger, try_again, unseen
from domain.job.pausing import pause, paused, resume
from domain.job.policy import (
    CatchUp,
    JobDefinition,
    JobPolicy,
    Overlap,
    Retries,
    Schedule,
    made_up_for,
    removed_job,
)
from domain.job.reports import complete, fail, stop_retries, time_out
from domain.job.state import BatchJob, OpenRun, Pause, RunStatus, evolve

__all__ = [
    "BatchJob",
    "CatchUp",
    "JobBackfillCancelled",
    "JobDefinition",
    "JobEvent",
    "JobFired",
    "JobPaused",
    "JobPolicy",
    "JobReportUnmatched",
    "JobResumed",
    "JobRunCompleted",
    "JobRunFailed",
    "JobRunMissed",
    "JobRunPublished",
    "JobRunScheduled",
    "JobRunSkipped",
    "JobRunTimedOut",
    "JobRunsMissed",
    "MetadataLeftOut",
    "OpenRun",
    "Overlap",
    "Pause",
    "Retries",
    "RunStatus",
    "Schedule",
    "TriggeredBy",
    "complete",
    "evolve",
    "fail",
    "fire",
    "job_stream",
    "made_up_for",
    "miss",
    "pause",
    "paused",
    "publish",
    "release",
    "removed_job",
    "resume",
    "retry_id",
    "run_id",
    "stop_retries",
    "time_out",
    "trigger",
    "try_again",
    "unseen",
]
