"""The kinds of objects that have their own history: their paths in the API, and their pages in the
console."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from domain.values import is_uuid
from interfaces.console.api import Api, Refused
from interfaces.console.jobs import MOST_JOBS, is_name


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of object: its ``path`` in the API, whether it has a name instead of a UUID, and whether the API
    can show its earlier states."""

    path: str
    is_named: bool = False
    has_past: bool = True


_KINDS: Mapping[str, Kind] = {
    "workflow": Kind(path="/workflows"),
    "approval": Kind(path="/hitl/approvals"),
    "job": Kind(path="/jobs", is_named=True),
    "backfill": Kind(path="/jobs/{job}/backfills"),
    "task": Kind(path="/tasks", has_past=False),
    "delegation": Kind(path="/hitl/delegations", has_past=False),
    "definition": Kind(path="/workflow-definitions", is_named=True, has_past=False),
}
"""The kinds by the names of their aggregates; the aggregate of all delegations counts for each delegation."""


class Thing(msgspec.Struct, frozen=True):
    """An object, with its kind, its ID and its path in the API."""

    kind: str
    id: str
    path: str

    @property
    def has_past(self) -> bool:
        """Whether the API can show its earlier states."""
        return _KINDS[self.kind].has_past

    def home(self, now: Mapping[str, Any] | None) -> tuple[str, str] | None:
        """Return the console's page of the object, or of what it belongs to, and the text of the link to
        it."""
        match self.kind:
            case "workflow" | "approval" | "job":
                return f"/{self.kind}s/{quote(self.id)}", f"Current {self.kind}"
            case "backfill":
                return self.path.rpartition("/backfills")[0], "Job of this backfill"
            case "definition":
                return f"/workflows?{urlencode({'definition': self.id})}", "Workflows of this definition"
            case "task" if now and now.get("workflowId"):
                return f"/workflows/{now['workflowId']}#of-{now.get('stepId', '')}", "Workflow of this task"
        return None


async def thing_of(api: Api, kind: str, id: str) -> Thing:
    """Return the object that an address names.

    Raises:
        Refused: there is no such object.
    """
    if kind not in _KINDS or not (is_name(id) if _KINDS[kind].is_named else is_uuid(id)):
        raise _none()
    path = _KINDS[kind].path
    if kind == "backfill":
        path = path.format(job=await _job_of(api, id.lower()))
    id = id if _KINDS[kind].is_named else id.lower()
    return Thing(kind, id, f"{path}/{quote(id)}")


async def _job_of(api: Api, backfill_id: str) -> str:
    """Return the job of a backfill, from its first event, or if that is archived, by asking for each job."""
    page = await api.get("/audit/events", aggregateId=backfill_id, type="backfill.requested", limit=1)
    events = page["events"]
    if not events:
        raise _none()
    if (data := events[0]["data"]) and is_name(data["plan"]["job"]):
        return str(data["plan"]["job"])
    for each in (await api.get("/jobs", limit=MOST_JOBS))["jobs"]:
        try:
            await api.get(f"/jobs/{each['job']}/backfills/{backfill_id}")
        except Refused as refused:
            if refused.status != 404:
                raise
        else:
            return str(each["job"])
    raise _none()


def _none() -> Refused:
    return Refused(404, "NOT_FOUND", "There is no such object.")
