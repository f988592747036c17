"""Finds the job that a path names."""

from starlette.requests import Request

from application.event_store import EventStore
from application.jobs import Jobs
from domain import job
from domain.job import JobDefinition, job_stream

_LONGEST_NAME = 255


class JobsNamed:
    """Finds jobs of the settings, and jobs that were in the settings once."""

    def __init__(self, store: EventStore, jobs: Jobs) -> None:
        self._store = store
        self._jobs = jobs

    def configured(self, request: Request) -> JobDefinition:
        """Return the job in the path.

        Raises:
            JobNotFound: the settings have no such job.
        """
        return self._jobs.find(request.path_params["job"])

    async def known(self, request: Request) -> str:
        """Return the name of the job in the path, even if it was removed from the settings: its history
        stays.

        Raises:
            JobNotFound: the settings have no such job, and the log has no events of one.
        """
        name: str = request.path_params["job"]
        if name in self._jobs.by_name:
            return name
        if len(name) <= _LONGEST_NAME and name.isprintable():
            past = await self._store.present(job_stream(name), job.evolve)
            if past.version:
                return name
        raise self._jobs.unknown(name)
