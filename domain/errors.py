"""Why the service says no.

.. code-block:: text

    Refusal                      a rule of the business says no; telling the caller is the answer
      NotFound
        WorkflowNotFound, StepNotFound, ApprovalNotFound, DelegationNotFound, JobNotFound,
        BackfillNotFound, DefinitionNotFound, TaskNotFound, ParkedMessageNotFound
      Conflict                   the thing's state does not allow it now
        ApprovalNotPending, ApprovalUndecidable, DecidedOtherwise, FactsChanged, StageNotOpen,
        ApprovalClaimedByAnother, TooManyComments, DelegationMakesCycle, TooManyDelegations,
        NothingFailed, StepNotOpen, StepIsForPeople, TooManyWaiting, TooLongAChain, WorkflowAlreadyRunning,
        WorkflowNotEnded, WorkflowNotRunning, WorkflowUndone,
        TaskNotOffered, TaskLeaseLost, TaskEnded,
        TooManyBackfills, BackfillHasEnded, ParkedMessagesHeld,
        IdempotencyKeyReused,
        DefinitionExists, DefinitionIsShipped, DefinitionIsRetired
        ThingArchived              it has ended, and what happened is in an archive
      NotAllowed                 it is not for this person to do
        NotAnApprover, DutiesNotSeparate
      BadInput                   what was given does not suit what it is for
        OpportunityRequired
      VersionMismatch            the caller decided on an older version
    Failure                      the world is in the way; trying again later may work
      StoreUnavailable
        StoreFull                there is no room for more on its disk
      BrokerUnavailable
        MessageUnroutable        the broker is there, and no queue takes the message
        MessageRefused           the broker is there, and will never take it
        MessageNotTaken          the broker is there, and does not take this one now
      AnchorFileUnavailable
      DirectoryUnavailable
      CutShort                 the work was cancelled by what it worked with
      LeaseLost                another instance does now what this one did
    TooMuchAtOnce                neither: it would be the same again, and yet nobody has said no
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from domain.faults import Fault, listed

Details = Mapping[str, str | int | Sequence[str]] | Sequence[Mapping[str, str]]
"""Further information, with a value each; or for bad input each fault as ``{field, message}``."""


LONGEST_LINE = 1_000
"""The most characters of a refusal's faults in one line."""


class Refusal(Exception):
    """A business rule forbids it. ``code`` is the code in the REST answer."""

    code: ClassVar[str]

    def __init__(self, message: str, details: Details | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: Any = details

    @property
    def in_a_line(self) -> str:
        """Everything about the refusal that fits in a line."""
        return self.message


class NotFound(Refusal):
    """This tenant has no such thing."""


class WorkflowNotFound(NotFound):
    code = "WORKFLOW_NOT_FOUND"


class StepNotFound(NotFound):
    code = "STEP_NOT_FOUND"


class ApprovalNotFound(NotFound):
    code = "HITL_APPROVAL_NOT_FOUND"


class DelegationNotFound(NotFound):
    code = "HITL_DELEGATION_NOT_FOUND"


class JobNotFound(NotFound):
    code = "JOB_NOT_FOUND"


class BackfillNotFound(NotFound):
    code = "BACKFILL_NOT_FOUND"


class DefinitionNotFound(NotFound):
    code = "DEFINITION_NOT_FOUND"


class TaskNotFound(NotFound):
    code = "TASK_NOT_FOUND"


class ParkedMessageNotFound(NotFound):
    code = "PARKED_MESSAGE_NOT_FOUND"


class Conflict(Refusal):
    """The thing's present state does not allow the command."""


class ApprovalNotPending(Conflict):
    code = "HITL_APPROVAL_NOT_PENDING"


class ApprovalUndecidable(Conflict):
    """There are not enough people who could approve."""

    code = "HITL_APPROVAL_UNDECIDABLE"


class DecidedOtherwise(Conflict):
    """The same person has voted the opposite in the same stage."""

    code = "HITL_DECIDED_OTHERWISE"


class FactsChanged(Conflict):
    """The decision is about other facts than the present ones."""

    code = "HITL_PAYLOAD_CHANGED"


class StageNotOpen(Conflict):
    code = "HITL_STAGE_NOT_OPEN"


class ApprovalClaimedByAnother(Conflict):
    code = "HITL_APPROVAL_CLAIMED"


class TooManyComments(Conflict):
    code = "HITL_TOO_MANY_COMMENTS"


class DelegationMakesCycle(Conflict):
    code = "HITL_DELEGATION_CYCLE"


class TooManyDelegations(Conflict):
    code = "HITL_TOO_MANY_DELEGATIONS"


class NothingFailed(Conflict):
    code = "WORKFLOW_NOTHING_FAILED"


class WorkflowNotEnded(Conflict):
    code = "WORKFLOW_NOT_ENDED"


class WorkflowNotRunning(Conflict):
    code = "WORKFLOW_NOT_RUNNING"


class WorkflowUndone(Conflict):
    code = "WORKFLOW_COMPENSATED"


class WorkflowAlreadyRunning(Conflict):
    code = "WORKFLOW_ALREADY_RUNNING"


class TooManyWaiting(Conflict):
    code = "TOO_MANY_WAITING"


class TooLongAChain(Conflict):
    code = "TOO_LONG_A_CHAIN"


class StepNotOpen(Conflict):
    code = "STEP_NOT_OPEN"


class StepIsForPeople(Conflict):
    """Only the people who decide can give the step a result."""

    code = "STEP_IS_FOR_PEOPLE"


class TaskNotOffered(Conflict):
    """Another worker has the task, or its time is up."""

    code = "TASK_NOT_OFFERED"


class TaskLeaseLost(Conflict):
    """What was done under the lease no longer counts, because another worker may have the task."""

    code = "LEASE_LOST"


class TaskEnded(Conflict):
    code = "TASK_ENDED"


class TooManyBackfills(Conflict):
    """As many of the job's backfills are unfinished as there may be."""

    code = "TOO_MANY_BACKFILLS"


class BackfillHasEnded(Conflict):
    code = "BACKFILL_ENDED"


class ParkedMessagesHeld(Conflict):
    """Somebody else is handling the messages at this moment."""

    code = "PARKED_MESSAGES_HELD"


class IdempotencyKeyReused(Conflict):
    """Something else was asked before under the same ``Idempotency-Key``, or by somebody else."""

    code = "IDEMPOTENCY_KEY_REUSED"


class DefinitionExists(Conflict):
    code = "DEFINITION_EXISTS"


class DefinitionIsShipped(Conflict):
    code = "DEFINITION_SHIPPED"


class DefinitionIsRetired(Conflict):
    code = "DEFINITION_RETIRED"


class ThingArchived(Conflict):
    """It ended long ago, and its events were moved to an archive."""

    code = "ARCHIVED"


class NotAllowed(Refusal):
    """This person may not do this."""

    code = "FORBIDDEN"


class NotAnApprover(NotAllowed):
    code = "HITL_NOT_AN_APPROVER"


class DutiesNotSeparate(NotAllowed):
    """Neither whoever asked for an approval nor the owner of the deal approves it, nor anybody who decides
    for them."""

    code = "HITL_SEPARATION_OF_DUTIES"


class BadInput(Refusal):
    """The input does not fit its purpose. The faults name the fields that they are in."""

    code = "VALIDATION_ERROR"

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message, listed(faults) or None)
        self.faults = faults

    @property
    def in_a_line(self) -> str:
        """The message, and each fault that the message does not mention, as far as they fit in a line."""
        faults = [fault for fault in self.faults if fault.message not in self.message]
        line, told = self.message, 0
        for fault in faults:
            further = f"{'; ' if told else ': '}{fault.field}: {fault.message}"
            if len(line) + len(further) > LONGEST_LINE:
                break
            line, told = line + further, told + 1
        more = len(faults) - told
        return f"{line} (and {more} more)" if more else line

    @classmethod
    def together(cls, found: Sequence["BadInput"]) -> "BadInput":
        """Return everything that was found, as one refusal."""
        faults = [fault for each in found for fault in each.faults]
        return cls("; ".join(each.message for each in found), faults)


class OpportunityRequired(BadInput):
    """The definition is for opportunities, and none was named."""


class VersionMismatch(Refusal):
    """``If-Match`` named another version than the present one."""

    code = "VERSION_MISMATCH"


class Failure(Exception):
    """Something outside is away. Nothing was decided, and the same call may be repeated."""


class StoreUnavailable(Failure):
    """The event store or the documents cannot be reached."""


class StoreFull(StoreUnavailable):
    """The disk of a file is full. Waiting alone does not help."""


class BrokerUnavailable(Failure):
    """The message broker cannot be reached, or has not confirmed a message."""


class MessageUnroutable(BrokerUnavailable):
    """No queue takes the message, and a queue that would could not be declared."""


class MessageRefused(BrokerUnavailable):
    """The broker will never accept the message, because it is too large."""


class MessageNotTaken(BrokerUnavailable):
    """A queue does not accept the message now, because it is full or in trouble; other queues may have
    accepted it. Or the broker's permissions forbid the routing key."""


class AnchorFileUnavailable(Failure):
    """The file of the audit trail's anchors cannot be read, or cannot be written."""


class DirectoryUnavailable(Failure):
    """It is not known now who is in which group."""


class CutShort(Failure):
    """Work was cancelled from within, as a connection that breaks may do. Its outcome is not known."""

    def __init__(self) -> None:
        super().__init__("it was interrupted, and its outcome is not known")


class LeaseLost(Failure):
    """Another instance has taken over, or may have. Whatever is written now could undo what that does."""


class TooMuchAtOnce(Exception):
    """A command would make more events, or larger ones, than the log's store accepts in one transaction.

    This is no refusal: a reply, an answer or a deadline that is refused is finished, and these must not be
    lost.
    """

    code = "TOO_MUCH_AT_ONCE"
    details = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def first_of(failed: Iterable[BaseException]) -> BaseException:
    """Return the failure to report among concurrent ones: the first, but a lost lease goes before all,
    because after that nothing may be retried. Groups are searched too."""
    alone = list(_alone(failed))
    return next((each for each in alone if isinstance(each, LeaseLost)), alone[0])


def _alone(failed: Iterable[BaseException]) -> Iterator[BaseException]:
    for each in failed:
        if isinstance(each, BaseExceptionGroup):
            yield from _alone(each.exceptions)
        else:
            yield each
