"""What happens to a concurrency group."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.definition import ConcurrencyPolicy, Part
from domain.event import Event, stored_as
from domain.values import is_same_json


class Start(Part, frozen=True, kw_only=True, omit_defaults=True):
    """A start that is asked for, and on whose behalf: who makes room for it need not be who asked.

    ``explicit`` ones are asked for by somebody who was told the workflow's id; each is a run of its own.
    ``chain`` names the definitions of the workflows that led to it by what they told.
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
        """Whether a run of the one is as good as a run of the other."""
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
    """A start waits for the run under way to end; it may have waited before, with other input."""

    group: str
    start: Start
    queued_at: datetime


@stored_as("concurrency.start_debounced", version=2, upcasters={1: lambda stored: stored})
class StartDebounced(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A start waits until ``due_at``; ``since`` the first of those that it stands for was asked for."""

    group: str
    start: Start
    since: datetime
    due_at: datetime


@stored_as("concurrency.start_withdrawn")
class StartWithdrawn(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A start that waited will not come: it was cancelled, or the next replaces it."""

    group: str
    workflow_id: str
    explicit: bool = False
    withdrawn_at: datetime


@stored_as("concurrency.run_replaced")
class RunReplaced(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The run under way is to be cancelled in favour of another."""

    group: str
    workflow_id: str
    by: str
    replaced_at: datetime


@stored_as("concurrency.run_ended")
class RunEnded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The run under way has ended, or never began."""

    group: str
    workflow_id: str
    ended_at: datetime


ConcurrencyEvent = StartGranted | StartQueued | StartDebounced | StartWithdrawn | RunReplaced | RunEnded
"""Every event of a group."""
