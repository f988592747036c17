"""Which fields of events are personal, whose they are, and the event that records an erasure.

Ids of people are not personal: it must stay provable who approved, and an id identifies a person only to
those who keep the directory. What people wrote is personal, and so are members of free-form data whose names
the rules list.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256

import msgspec

from domain.event import Event, stored_as
from domain.values import StreamName

ERASED = "[erased]"
"""What a personal field reads as after its key is destroyed, whatever its type was."""

LONGEST_SUBJECT = 1_000
"""In bytes: an index of PostgreSQL takes 2,704, including the tenant."""


def kept_subject(subject: str) -> str:
    """Return the form of a subject under which its key is stored. A subject that some store's index does not
    accept is replaced by its digest."""
    written = subject.encode("utf-8", "surrogatepass")
    if len(written) <= LONGEST_SUBJECT and "\0" not in subject:
        return subject
    return f"sha256:{sha256(written).hexdigest()}"


class Said(msgspec.Struct, frozen=True):
    """A text that somebody wrote: the field that names the author, or the event's actor if there is none."""

    field: str
    by: str | None = None


SAID: Mapping[str, Said] = {
    "approval.approved": Said("comment", "decided_by"),
    "approval.rejected": Said("comment", "decided_by"),
    "approval.agreed": Said("comment", "by"),
    "approval.objected": Said("comment", "by"),
    "approval.commented": Said("text", "by"),
    "approval.reassigned": Said("reason", "by"),
    "approval.revised": Said("reason"),
    "approval.withdrawn": Said("reason"),
    "delegation.made": Said("reason", "by"),
    "job.paused": Said("reason", "by"),
    "backfill.cancelled": Said("reason", "by"),
    "workflow.paused": Said("reason"),
    "workflow.cancelled": Said("reason"),
    "workflow.step_skipped": Said("reason"),
    "workflow.resumed": Said("reason"),
    "workflow.retried": Said("reason"),
    "workflow.step_dispatched": Said("reason"),
    "workflow.step_mapped": Said("reason"),
}
"""By the event's type. What a policy of the service writes belongs to nobody."""

FREE_FORM: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "approval.requested": (("payload",),),
    "approval.revised": (("payload",),),
    "workflow.queued": (("input",),),
    "workflow.started": (("input",),),
    "workflow.retried": (("input",),),
    "workflow.step_dispatched": (("parameters",), ("input",)),
    "workflow.step_mapped": (("elements",),),
    "workflow.step_completed": (("result",),),
    "workflow.completed": (("results",),),
    "concurrency.start_granted": (("start", "input"),),
    "concurrency.start_queued": (("start", "input"),),
    "concurrency.start_debounced": (("start", "input"),),
    "task.offered": (("input",),),
    "task.completed": (("output",),),
    "job.run_scheduled": (("metadata",),),
    "job.fired": (("metadata",),),
    "backfill.window_started": (("metadata",),),
}
"""Where others' data stands, by the event's type. Its members are personal by their names."""

DECISION = ("approvalId", "outcome")
"""The members by which the result of a step that asked for an approval is recognized, wherever it was passed
on to."""

SAID_IN_DECISIONS: Mapping[str, str] = {"comment": "decidedBy", "reason": "withdrawnBy"}
"""The personal members of such a result, and for each the member that names its author."""


def erasure_stream(tenant: str, key_id: str) -> str:
    """Return the name of the stream of one key's erasure."""
    return str(StreamName(tenant, "erasure", key_id))


@stored_as("privacy.erasure_carried_out")
class ErasureCarriedOut(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A key was destroyed: personal fields of these streams read as erased from now on.

    The event does not say whose key it was. An erasure of many streams is recorded in ``parts``.
    """

    key_id: str
    streams: tuple[str, ...]
    part: int = 1
    parts: int = 1
    reason: str | None = None
    erased_at: datetime


def evolve(state: int | None, event: Event) -> int:
    """Return how many parts of an erasure are recorded."""
    return (state or 0) + 1
