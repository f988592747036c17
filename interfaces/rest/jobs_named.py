"""Which job a path names."""

from starlette.requests import Request

from application.event_store import EventStore
from application.jobs import Jobs
from domain import job
from domain.job import JobDefinition, job_stream

_LONGEST_NAME = 255


class JobsNamed:
    """Those that the settings name, and those that they named once."""

    def __init__(self, store: EventStore, jobs: Jobs) -> None:
        self._store = store
        self._jobs = jobs

    def configured(self, request: Request) -> JobDefinition:
        """The job of the path.

        Raises:
            JobNotFound: the settings name none.
        """
        return self._jobs.find(request.path_params["job"])

    async def known(self, request: Request) -> str:
        """The name of the path's job, also of one that the settings name no more: its history stays.

        Raises:
            JobNotFound: the settings name none, and nothing ever came of one.
        """
        name: str = request.path_params["job"]
        if name in self._jobs.by_name:
            return name
        if len(name) <= _LONGEST_NAME and name.isprintable():
            past = await self._store.present(job_stream(name), job.evolve)
            if past.version:
                return name
        raise self._jobs.unknown(name)
