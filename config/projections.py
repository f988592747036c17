"""Every projection, and the container that each has under the settings."""

import msgspec

from config.sections import Settings
from projections.approvals import Approvals
from projections.backfills import Backfills
from projections.definitions import Definitions
from projections.delegations import Delegations
from projections.executions import Executions
from projections.job_runs import JobRuns
from projections.projection import Projection
from projections.steps import Steps
from projections.tasks import Tasks
from projections.workflows import Workflows


class Projections(msgspec.Struct, frozen=True):
    """A new one is a module, an import and a field here, and its container in ``config/sections.py`` and
    ``config/default.yaml``, under the field's name."""

    workflows: Workflows
    steps: Steps
    executions: Executions
    approvals: Approvals
    delegations: Delegations
    job_runs: JobRuns
    backfills: Backfills
    definitions: Definitions
    tasks: Tasks

    @classmethod
    def named_by(cls, settings: Settings) -> "Projections":
        """Return the projections under the containers' configured names."""
        names = settings.cosmos_db.containers
        return cls(*(each.type(getattr(names, each.name)) for each in msgspec.structs.fields(cls)))

    def all(self) -> tuple[Projection, ...]:
        """Return all of them."""
        return msgspec.structs.astuple(self)
