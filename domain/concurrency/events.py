"""What can happen to a concurrency group."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.definition import ConcurrencyPolicy, Part
from domain.event import Event, stored_as
from domain.values import is_same_json


class Start(Part, frozen=True, kw_only=True, omit_defaults=True):
    """A start that was asked for, and on whose behalf: whoever makes room for it need not be whoever asked.

    Somebody who was told the workflow's id has asked for an ``explicit`` start; each is a run of its own.
    ``chain`` names the definitions of the workflows whose messages led to it.
    """

    workflow_id: str
    definition: str
    version: int | None = None
    opportunity_id: str | None = None
    input: Mapping[str, Any] | None = None
    policy: ConcurrencyPolicy
    explicit: bool = False
    actor: str
    correlation_id: str
    causation_id: str | None = None
    chain: tuple[str, ...] = ()

    def asks_the_same(self, other: "Start") -> bool:
        """Return whether a run of one start is as good as a run of the other."""
        return (self.version, self.opportunity_id, self.policy) == (
            other.version,
            other.opportunity_id,
            other.policy,
        ) and is_same_json(self.input, other.input)


@stored_as("concurrency.start_granted", version=2, upcasters={1: lambda stored: stored})
class StartGranted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The workflow is to be started now."""

    group: str
    start: Start
    granted_at: datetime


@stored_as("concurrency.start_queued", version=2, upcasters={1: lambda stored: stored})
class StartQueued(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A start waits for the present run to end. It may have waited before, with other input."""

    group: str
    start: Start
    queued_at: datetime


@stored_as("concurrency.start_debounced", version=2, upcasters={1: lambda stored: stored})
class StartDebounced(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A start waits until ``due_at``. ``since`` is when the first of the starts that it stands for was asked
    for."""

    group: str
    start: Start
    since: datetime
    due_at: datetime


@stored_as("concurrency.start_withdrawn")
class StartWithdrawn(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A waiting start will not happen: it was cancelled, or the next one replaces it."""

    group: str
    workflow_id: str
    explicit: bool = False
    withdrawn_at: datetime


@stored_as("concurrency.run_replaced")
class RunReplaced(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The present run is to be cancelled in favour of another."""

    group: str
    workflow_id: str
    by: str
    replaced_at: datetime


@stored_as("concurrency.run_ended")
class RunEnded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The present run has ended, or never began."""

    group: str
    workflow_id: str
    ended_at: datetime


ConcurrencyEvent = StartGranted | StartQueued | StartDebounced | StartWithdrawn | RunReplaced | RunEnded
"""Every event of a group."""
