"""The kinds of things that have a trail of their own: where the API has it, and what they belong to."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from domain.values import is_uuid
from interfaces.console.api import Api, Refused
from interfaces.console.jobs import MOST_JOBS, is_name


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """``path`` is the API's; whether one goes by a name, and whether it can be seen as it once was."""

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
"""By the names that the trail has for them; one of all delegations' is that of each."""


class Thing(msgspec.Struct, frozen=True):
    """One of them, by its kind and its path in the API."""

    kind: str
    id: str
    path: str

    @property
    def has_past(self) -> bool:
        """Whether it can be seen as it once was."""
        return _KINDS[self.kind].has_past

    def home(self, now: Mapping[str, Any] | None) -> tuple[str, str] | None:
        """Where the console has it, or what it belongs to, below its own address, and what that is called."""
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
    """What an address names.

    Raises:
        Refused: there is no such thing.
    """
    if kind not in _KINDS or not (is_name(id) if _KINDS[kind].is_named else is_uuid(id)):
        raise _none()
    path = _KINDS[kind].path
    if kind == "backfill":
        path = path.format(job=await _job_of(api, id.lower()))
    id = id if _KINDS[kind].is_named else id.lower()
    return Thing(kind, id, f"{path}/{quote(id)}")


async def _job_of(api: Api, backfill_id: str) -> str:
    """Whose backfill it is, as its first event tells; where that is in an archive, as each job does."""
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
